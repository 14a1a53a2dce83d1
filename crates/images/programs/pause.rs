//! The process that holds a pod's namespaces: it waits, collects orphaned children and ends on SIGTERM or SIGINT.
//! Standard library only: the build script compiles it with a bare rustc.

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;
const SIGCHLD: i32 = 17;
const SIG_BLOCK: i32 = 0;
const WNOHANG: i32 = 1;

/// glibc's and musl's sigset_t: 1,024 bits.
#[repr(C)]
struct SignalSet([u64; 16]);

unsafe extern "C" {
    fn sigemptyset(set: *mut SignalSet) -> i32;
    fn sigaddset(set: *mut SignalSet, signal: i32) -> i32;
    fn sigprocmask(how: i32, set: *const SignalSet, old: *mut SignalSet) -> i32;
    fn sigwait(set: *const SignalSet, signal: *mut i32) -> i32;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
}

fn main() {
    let mut set = SignalSet([0; 16]);
    // SAFETY: every pointer is to a live local of the size the C library expects.
    unsafe {
        sigemptyset(&mut set);
        for signal in [SIGINT, SIGTERM, SIGCHLD] {
            sigaddset(&mut set, signal);
        }
        sigprocmask(SIG_BLOCK, &set, std::ptr::null_mut());
        loop {
            let mut signal = 0;
            if sigwait(&set, &mut signal) != 0 {
                std::process::exit(1);
            }
            match signal {
                SIGCHLD => while waitpid(-1, std::ptr::null_mut(), WNOHANG) > 0 {},
                _ => return,
            }
        }
    }
}
