//! Kernel coverage: which regions of production code no test reaches.
//!
//! The report is what `cargo llvm-cov --json` writes (LLVM's coverage export, version 2 and 3). A region is a span of code that runs as
//! a whole; when every region is reached, every line is. Regions inside tests do not count.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Tree;

/// Regions reached and not reached in the production code below one folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// How many regions there are.
    pub regions: usize,
    /// `path:line:column` of each that no test reaches.
    pub missed: Vec<String>,
}

/// Reads a report about the files whose path contains `folder`, such as `core/src/`.
///
/// # Errors
/// A sentence when the text is not such a report or says nothing about the folder.
pub fn coverage(tree: &Tree, folder: &str, report: &str) -> Result<Coverage, String> {
    let report: Value = serde_json::from_str(report).map_err(|error| format!("the report is not JSON: {error}"))?;
    let functions = report["data"][0]["functions"]
        .as_array()
        .ok_or("the report has no `data[0].functions`: write it with `cargo llvm-cov --json`")?;
    let mut reached: BTreeMap<(String, u64, u64, u64, u64), u64> = BTreeMap::new();
    for function in functions {
        for region in function["regions"].as_array().into_iter().flatten() {
            let Some(region) = code_region(function, region, folder) else { continue };
            if !tree.file(&region.path).is_some_and(|file| file.is_test_line(region.place[0] as usize)) {
                let [line, column, line_end, column_end] = region.place;
                *reached.entry((region.path, line, column, line_end, column_end)).or_default() += region.count;
            }
        }
    }
    if reached.is_empty() {
        return Err(format!("the report has no region below {folder}: did the tests of that crate run?"));
    }
    let missed = reached
        .iter()
        .filter(|(_, count)| **count == 0)
        .map(|((path, line, column, ..), _)| format!("{path}:{line}:{column}"));
    Ok(Coverage { regions: reached.len(), missed: missed.collect() })
}

struct Region {
    path: String,
    place: [u64; 4],
    count: u64,
}

/// A region of kind 0, code, in a file of the folder: `[line, column, line_end, column_end, count, file, expanded, kind]`.
fn code_region(function: &Value, region: &Value, folder: &str) -> Option<Region> {
    let number = |index: usize| region[index].as_u64();
    if number(7)? != 0 {
        return None;
    }
    let name = function["filenames"][number(5)? as usize].as_str()?.replace('\\', "/");
    let at = name.find(folder)?;
    Some(Region {
        path: name[at..].to_owned(),
        place: [number(0)?, number(1)?, number(2)?, number(3)?],
        count: number(4)?,
    })
}

#[cfg(test)]
mod tests {
    use super::{Coverage, coverage};
    use crate::Tree;

    fn report(regions: &str) -> String {
        format!(
            "{{\"data\":[{{\"functions\":[{{\"filenames\":[\"/x/core/src/a.rs\",\"/x/core/tests/b.rs\"],\"regions\":[{regions}]}}]}}]}}"
        )
    }

    fn tree() -> Tree {
        Tree::of(&[("core/src/a.rs", "//! A.\nfn f() {}\n#[cfg(test)]\nmod tests {\n    fn g() {}\n}\n")])
    }

    #[test]
    fn r2_a_missed_region_is_named_and_a_missed_line_of_a_test_is_not() {
        let found = coverage(
            &tree(),
            "core/src/",
            &report("[2,1,2,5,3,0,0,0],[2,6,2,9,0,0,0,0],[5,1,5,9,0,0,0,0],[1,1,1,2,0,1,0,0],[2,7,2,8,0,0,0,3]"),
        );
        assert_eq!(found, Ok(Coverage { regions: 2, missed: vec!["core/src/a.rs:2:6".to_owned()] }));
    }

    #[test]
    fn a_region_reached_through_one_instance_is_reached() {
        let found = coverage(&tree(), "core/src/", &report("[2,1,2,5,0,0,0,0],[2,1,2,5,7,0,0,0]")).unwrap();
        assert_eq!(found.missed, [""; 0]);
    }

    #[test]
    fn r2_an_empty_report_is_an_error_not_a_pass() {
        for text in ["", "{}", &report(""), &report("[1,1,1,2,5,1,0,0]")] {
            assert!(coverage(&tree(), "core/src/", text).is_err(), "{text}");
        }
    }
}
