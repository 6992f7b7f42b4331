//! Compiles the proto without `protoc`, where something calls it.

use std::error::Error;

#[cfg(not(feature = "wire"))]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}

#[cfg(feature = "wire")]
fn main() -> Result<(), Box<dyn Error>> {
    use prost::Message;

    let out = std::path::PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let descriptors = out.join("echo.bin");
    let compiled = protox::compile(["echo.proto"], ["proto"])?;
    std::fs::write(&descriptors, compiled.encode_to_vec())?;
    tonic_prost_build::configure()
        .skip_protoc_run()
        .file_descriptor_set_path(&descriptors)
        .bytes(".")
        .compile_protos(&["echo.proto"], &["proto"])?;
    println!("cargo::rerun-if-changed=proto/echo.proto");
    Ok(())
}
