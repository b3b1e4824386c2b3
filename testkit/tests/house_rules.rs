//! The house rules that can be checked: which crate may use which, licences, and that our Markdown
//! names only what exists.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use spdx::{Expression, LicenseReq};

static METADATA: LazyLock<Metadata> = LazyLock::new(|| {
    MetadataCommand::new().other_options(vec!["--locked".into()]).exec().expect("cargo metadata")
});

/// Our crates, and which of ours each may use. A new arrow is a deliberate edit here.
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("journal", &[]),
    ("archive", &["domain"]),
    ("ledger", &["domain"]),
    ("outbound", &["domain"]),
    ("app", &["archive", "domain", "journal", "ledger", "outbound"]),
    ("web", &["app", "domain"]),
    ("crumb", &["app", "archive", "domain", "journal", "ledger", "outbound", "web"]),
    ("testkit", &["app", "crumb", "domain", "e2e", "ledger"]),
    ("e2e", &[]),
    ("bench", &["archive", "domain", "journal", "ledger"]),
];

/// What the inner crates may use from outside: they stay small on purpose.
const OUTSIDE: &[(&str, &[&str])] = &[
    (
        "domain",
        &["jiff", "percent-encoding", "rust_decimal", "rustc-hash", "strsim", "thiserror", "url", "uuid"],
    ),
    ("journal", &["crc32c", "thiserror"]),
];

/// Licences of what we build on.
const LICENCES: &[&str] = &[
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

fn uses(package: &Package) -> impl Iterator<Item = &str> {
    let normal = package.dependencies.iter().filter(|it| it.kind == DependencyKind::Normal);
    normal.map(|it| it.name.as_str())
}

fn ours() -> BTreeMap<String, &'static Package> {
    METADATA.workspace_packages().into_iter().map(|it| (it.name.to_string(), it)).collect()
}

#[test]
fn our_crates_use_each_other_only_as_drawn() {
    let ours = ours();
    assert_eq!(ours.len(), ARROWS.len(), "every crate of the workspace stands in ARROWS");
    for (name, allowed) in ARROWS {
        let found: Vec<_> = uses(ours[*name]).filter(|it| ours.contains_key(*it)).collect();
        let forbidden: Vec<_> = found.iter().filter(|it| !allowed.contains(it)).collect();
        assert!(forbidden.is_empty(), "{name} may not use {forbidden:?}");
    }
}

#[test]
fn the_inner_crates_use_little_from_outside() {
    let ours = ours();
    for (name, allowed) in OUTSIDE {
        let outside = uses(ours[*name]).filter(|it| !ours.contains_key(*it));
        let forbidden: Vec<_> = outside.filter(|it| !allowed.contains(it)).collect();
        assert!(forbidden.is_empty(), "{name} may not use {forbidden:?}");
    }
}

#[test]
fn every_dependency_has_a_licence_we_accept() {
    let accepted = |required: &LicenseReq| LICENCES.contains(&required.to_string().as_str());
    for package in &METADATA.packages {
        let licence = package.license.as_deref().unwrap_or("none");
        // Some manifests still write "MIT/Apache-2.0".
        let parsed = Expression::parse(&licence.replace('/', " OR "));
        let fine = parsed.is_ok_and(|expression| expression.evaluate(accepted));
        assert!(fine, "{} {} is licensed {licence}", package.name, package.version);
    }
}

fn markdown(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").map(|it| it.expect("an entry")) {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir()
            && !name.starts_with('.')
            && !["target", "node_modules", "crumb-data"].contains(&&*name)
        {
            markdown(&path, found);
        } else if path.extension().is_some_and(|it| it == "md") {
            found.push(path);
        }
    }
}

/// Words in backticks that look like a path of ours: they begin with one of our folders.
fn paths_named(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split('`').skip(1).step_by(2);
    let roots = ours().into_keys().chain(["docs".into(), "scripts".into()]).collect::<Vec<_>>();
    words.filter(move |word| {
        let (root, rest) = word.split_once('/').unwrap_or((word, ""));
        !rest.is_empty() && roots.iter().any(|it| it == root) && !word.contains(['*', '<', '{', ' ', '…'])
    })
}

#[test]
fn our_markdown_names_only_paths_that_exist() {
    let root = METADATA.workspace_root.as_std_path();
    let mut files = Vec::new();
    markdown(root, &mut files);
    assert!(files.iter().any(|it| it.ends_with("ARCHITECTURE.md")), "the map is there");
    for file in files {
        let text = std::fs::read_to_string(&file).expect("text");
        for path in paths_named(&text) {
            assert!(root.join(path).exists(), "{} names {path}", file.display());
        }
        let links = text.split("](").skip(1).filter_map(|it| it.split(')').next());
        for link in links.filter(|it| !it.contains("://") && !it.starts_with('#')) {
            let target = file.parent().expect("a folder").join(link.split('#').next().unwrap_or(link));
            assert!(target.exists(), "{} links to {link}", file.display());
        }
    }
}

#[test]
fn every_dependency_of_ours_says_why_it_is_there() {
    let root = METADATA.workspace_root.as_std_path();
    let reasons = std::fs::read_to_string(root.join("docs/dependencies.md")).expect("docs/dependencies.md");
    let ours = ours();
    for package in ours.values() {
        for dependency in package.dependencies.iter().filter(|it| !ours.contains_key(it.name.as_str())) {
            let named = format!("`{}`", dependency.name);
            assert!(
                reasons.contains(&named),
                "{} uses {named}: say why in docs/dependencies.md",
                package.name
            );
        }
    }
}
