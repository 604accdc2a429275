//! Everything that is written is read as it was; nothing else is read.

use super::*;

fn plan() -> Plan {
    Plan {
        binds: vec![
            Bind { source: "/a".into(), target: "/b".into(), access: Access::Write, execute: Execute::Denied },
            Bind { source: "/c".into(), target: "/c".into(), access: Access::Read, execute: Execute::Allowed },
        ],
        network: Network::Brokered { ports: vec![80, 443] },
        limits: Limits {
            runtime_ms_max: 1,
            cpu_ms_max: 2,
            memory_bytes_max: 3,
            processes_max: 4,
            open_files_max: 5,
            file_bytes_max: 6,
            scratch_bytes_max: u64::MAX,
        },
        command: Command {
            program: "/bin/x".into(),
            args: vec!["x".into(), "".into()],
            env: vec![("A".into(), "ä".into())],
            cwd: "/".into(),
        },
        guarantees: Guarantees {
            memory: Strength::Exact,
            process_view: Strength::Approximate,
            sockets_absent: Strength::Approximate,
        },
    }
}

#[test]
fn a_plan_comes_back_as_it_was_and_any_cut_is_seen() {
    let bytes = plan().encode();
    assert_eq!(Plan::decode(&bytes), Ok(plan()));
    for cut in 0..bytes.len() {
        assert!(Plan::decode(&bytes[..cut]).is_err(), "{cut}");
    }
    assert_eq!(Plan::decode(&[bytes.as_slice(), &[0]].concat()), Err(WireError::Long));
    assert_eq!(Plan::decode(&vec![0; PLAN_BYTES_MAX + 1]), Err(WireError::Value));
    let isolated = Plan { network: Network::None, ..plan() };
    assert_eq!(Plan::decode(&isolated.encode()), Ok(isolated));
}

#[test]
fn a_changed_byte_is_refused_or_another_plan() {
    let bytes = plan().encode();
    for at in 0..bytes.len() {
        for value in [0, 1, 0x7F, 0xFF] {
            let mut changed = bytes.clone();
            changed[at] = value;
            if let Ok(read) = Plan::decode(&changed) {
                assert_eq!(read.encode(), changed, "one way to write a plan");
            }
        }
    }
}

#[test]
fn a_length_beyond_its_limit_is_no_reason_to_take_memory() {
    assert_eq!(Plan::decode(&[0xFF; 64]), Err(WireError::Value));
    assert_eq!(Reader(&[0, 0, 4, 0]).bytes(), Err(WireError::Value));
}

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
        landlock_abi: 7,
    };
    let mut out = Writer::default();
    write_enforcement(&mut out, &held);
    assert_eq!(read_enforcement(&mut Reader(&out.0)), Ok(held));
}
