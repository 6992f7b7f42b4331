//! A node that sends garbage ends the call with a code and a message, never the process, and the next call goes well.

mod body;
mod floods;
mod frames;
mod header;
mod status;
mod told;
