//! The tests are in `main.rs`: one binary for all of them. This library holds nothing.
