//! What a scan returns, as data and as SARIF.

use serde::Serialize;
use serde_json::{Value, json};
use std::fmt;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; the file still passes.
    Note,
    /// Unusual.
    Low,
    /// Something that is not understood and could do harm.
    Medium,
    /// It would do something when it is loaded.
    High,
}

impl Severity {
    /// `note`, `low`, `medium` or `high`.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable code, such as `pickle.import`.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// The member of the file in which it is, with `!` between archives; empty for the file itself.
    pub member: String,
    /// Byte offset in the member.
    pub offset: Option<u64>,
    /// What was found.
    pub reason: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]: {}", self.severity.name(), self.code, self.reason)?;
        match (self.member.as_str(), self.offset) {
            ("", None) => Ok(()),
            ("", Some(at)) => write!(f, " (byte offset {at})"),
            (member, None) => write!(f, " ({member})"),
            (member, Some(at)) => write!(f, " ({member}, byte offset {at})"),
        }
    }
}

/// What a scan found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The file, as the user named it.
    pub file: String,
    /// What its content is.
    pub content: &'static str,
    /// Findings in the order of the bytes.
    pub findings: Vec<Finding>,
    /// True when every byte was understood.
    pub understood: bool,
}

impl Report {
    /// True when the file passes: every byte was understood, and no finding is more than a note.
    pub fn is_clean(&self) -> bool {
        self.understood && self.worst().is_none_or(|s| s == Severity::Note)
    }

    /// The severity of the worst finding.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|f| f.severity).max()
    }
}

/// The reports as one SARIF 2.1.0 log.
pub fn sarif(reports: &[Report]) -> Value {
    let mut codes = reports.iter().flat_map(|r| &r.findings).map(|f| f.code).collect::<Vec<_>>();
    codes.sort_unstable();
    codes.dedup();
    let rules = codes.iter().map(|code| json!({ "id": code })).collect::<Vec<_>>();
    let results = reports.iter().flat_map(|r| r.findings.iter().map(|f| result(&r.file, f))).collect::<Vec<_>>();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "modelsmith scan", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "results": results,
        }],
    })
}

fn result(file: &str, f: &Finding) -> Value {
    let level = match f.severity {
        Severity::High => "error",
        Severity::Medium | Severity::Low => "warning",
        Severity::Note => "note",
    };
    let mut place = json!({ "artifactLocation": { "uri": file } });
    if let (Some(offset), Some(map)) = (f.offset.filter(|_| f.member.is_empty()), place.as_object_mut()) {
        map.insert("region".into(), json!({ "byteOffset": offset }));
    }
    let mut location = json!({ "physicalLocation": place });
    if let (false, Some(map)) = (f.member.is_empty(), location.as_object_mut()) {
        let offset = f.offset.map(|o| format!("@{o}")).unwrap_or_default();
        let name = format!("{}{offset}", f.member);
        map.insert("logicalLocations".into(), json!([{ "fullyQualifiedName": name }]));
    }
    json!({ "ruleId": f.code, "level": level, "message": { "text": f.reason }, "locations": [location] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_read_as_lines_and_as_sarif() {
        let member = "a.zip!data.pkl".to_owned();
        let reason = "would call os.system".to_owned();
        let f = Finding { code: "pickle.import", severity: Severity::High, member, offset: Some(7), reason };
        assert_eq!(f.to_string(), "high[pickle.import]: would call os.system (a.zip!data.pkl, byte offset 7)");
        let report = Report { file: "m.pt".into(), content: "zip", findings: vec![f], understood: true };
        assert!(!report.is_clean());
        let log = sarif(&[report]);
        assert_eq!(log["runs"][0]["results"][0]["level"], "error");
        let logical = &log["runs"][0]["results"][0]["locations"][0]["logicalLocations"][0];
        assert_eq!(logical["fullyQualifiedName"], "a.zip!data.pkl@7");
    }
}
