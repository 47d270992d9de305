//! The checker on evidence built by hand: it finds nothing wrong with a healthy run, and each single thing that is wrong.

mod allowed;
mod healthy;
mod later;
mod reused;
mod tampered;
