//! Errors and ends are read as they were written.

use super::*;

#[test]
fn errors_and_ends_come_back_as_they_were() {
    let missing = Missing { mechanism: "m".into(), found: "f".into(), remedy: "r".into() };
    for error in [
        JailError::Unavailable { missing: vec![missing] },
        JailError::Refused { what: "a".into(), why: "b".into() },
        JailError::Step { step: Step::Execute, what: "c".into(), errno: 13 },
        JailError::Busy { sandboxes_max: 7 },
        JailError::Gone { why: "d".into() },
    ] {
        let mut out = Writer::default();
        write_error(&mut out, &error);
        assert_eq!(read_error(&mut Reader(&out.0)), Ok(error));
    }
    let breaches = [
        None,
        Some(Breach::Memory { bytes_max: 1 }),
        Some(Breach::Cpu { cpu_ms_max: 2 }),
        Some(Breach::Runtime { runtime_ms_max: 3 }),
        Some(Breach::FileSize { bytes_max: 4 }),
        Some(Breach::Syscall { name: "mount".into() }),
    ];
    for breach in breaches {
        for status in [Status::Exited(255), Status::Signaled(9)] {
            let usage = Usage { wall_ms: 1, cpu_ms: 2, memory_bytes_peak: 3 };
            let ended = Ended { status, breach: breach.clone(), usage };
            let mut out = Writer::default();
            write_ended(&mut out, &ended);
            assert_eq!(read_ended(&mut Reader(&out.0)), Ok(ended));
        }
    }
    let held = Enforcement {
        tier: Tier::A,
        memory: Strength::Exact,
        cpu: Strength::Approximate,
        process_view: Strength::Exact,
        without_namespaces: crate::Looseness { signals: Strength::Approximate, ..crate::Looseness::NONE },
        landlock_abi: 7,
    };
    let mut out = Writer::default();
    write_enforcement(&mut out, &held);
    assert_eq!(read_enforcement(&mut Reader(&out.0)), Ok(held));
}
