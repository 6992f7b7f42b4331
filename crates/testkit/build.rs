//! Compiles the protos without `protoc`.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

const PROTOS: [&str; 5] = [
    "greeter.proto",
    "go_micro_greeter.proto",
    "echo.proto",
    "interop.proto",
    "chat.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    for proto in PROTOS {
        let descriptors = protox::compile([proto], ["proto"])?;
        let file = out.join(proto).with_extension("bin");
        fs::write(&file, descriptors.encode_to_vec())?;
        tonic_prost_build::configure()
            .skip_protoc_run()
            .file_descriptor_set_path(&file)
            .compile_protos(&[proto], &["proto"])?;
        println!("cargo::rerun-if-changed=proto/{proto}");
    }
    Ok(())
}
