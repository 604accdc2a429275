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
            without_namespaces: Looseness { names: Strength::Approximate, ..Looseness::NONE },
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
