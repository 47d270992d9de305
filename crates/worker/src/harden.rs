//! Keeps the worker's own memory and environment from the commands it runs.

use std::io;

/// Makes this process non-dumpable: other processes of the same user can neither trace it nor read its memory,
/// environment or open files through `/proc`, and no core is written. Programs that it starts are not affected.
///
/// Without it a command could read the credentials of the worker's role out of `/proc/<pid>/environ`. Root is not
/// kept out by this, so commands must not run as root where that matters. Elsewhere than on Linux nothing is done.
pub(crate) fn hide_process() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_dumpable(false)?;
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn the_process_is_not_dumpable_afterwards() {
        super::hide_process().unwrap();
        assert!(!nix::sys::prctl::get_dumpable().unwrap());
    }
}
