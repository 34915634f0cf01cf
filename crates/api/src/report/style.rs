//! Colours and layout, light and dark.

/// The style sheet of the page.
pub const CSS: &str = r#"
:root{color-scheme:light dark;--bg:#f7f7f5;--card:#ffffff;--ink:#1d2126;--soft:#68707a;--line:#e3e4e1;--accent:#1f6f8b;
--accent-soft:#1f6f8b22;--good:#26734d;--good-soft:#26734d1c;--bad:#b3362b;--bad-soft:#b3362b1c;--warn:#946200;--warn-soft:#9462001c;--second:#c0762c}
@media (prefers-color-scheme:dark){:root{--bg:#14171a;--card:#1c2024;--ink:#e7e9ea;--soft:#98a1aa;--line:#2d3339;--accent:#5bb6d2;
--accent-soft:#5bb6d226;--good:#62c192;--good-soft:#62c1921f;--bad:#f0857a;--bad-soft:#f0857a1f;--warn:#dcae55;--warn-soft:#dcae551f;--second:#e0a264}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;font-variant-numeric:tabular-nums}
main{max-width:1080px;margin:0 auto;padding:32px 20px 64px}
header{display:flex;flex-wrap:wrap;align-items:baseline;gap:6px 16px;margin-bottom:20px}
h1{font-size:26px;margin:0;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:18px;margin:0 0 4px}
h3{font-size:14px;margin:20px 0 6px;color:var(--soft);font-weight:600}
p{margin:4px 0 12px}
.soft{color:var(--soft)}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:20px 22px;margin:16px 0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:16px 0}
.tile{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:14px 16px}
.tile b{display:block;font-size:22px;letter-spacing:-.01em;font-weight:650}
.tile span.what{color:var(--soft);font-size:13px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px}
th{text-align:left;color:var(--soft);font-weight:600;font-size:12.5px}
th,td{padding:6px 14px 6px 0;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
tr:last-child td{border-bottom:0}
td.n,th.n{text-align:right;white-space:nowrap}
code{font:13px/1.4 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.badge{display:inline-block;padding:1px 9px;border-radius:99px;font-size:12.5px;font-weight:600;background:var(--accent-soft);color:var(--accent);white-space:nowrap}
.badge.passed{background:var(--good-soft);color:var(--good)}
.badge.failed{background:var(--bad-soft);color:var(--bad)}
.badge.inconclusive{background:var(--warn-soft);color:var(--warn)}
.badge.not-available,.badge.skipped{background:transparent;color:var(--soft);border:1px solid var(--line)}
svg{display:block;width:100%;height:auto;margin:8px 0 4px}
svg text{fill:var(--soft);font:12px system-ui,sans-serif;font-variant-numeric:tabular-nums}
svg .name{fill:var(--ink)}
svg .bar{fill:var(--accent)}
svg .bar.reference{fill:var(--second)}
svg .bar:hover{opacity:.75}
svg .area{fill:var(--accent-soft)}
svg .curve{fill:none;stroke:var(--accent);stroke-width:2}
svg .axis{stroke:var(--line);stroke-width:1}
svg .mark{stroke:var(--second);stroke-width:1.5;stroke-dasharray:4 3}
svg .marktext{fill:var(--second)}
.legend{font-size:13px;color:var(--soft)}
.legend i{display:inline-block;width:10px;height:10px;border-radius:2px;background:var(--accent);margin:0 5px 0 12px}
.legend i.reference{background:var(--second)}
footer{color:var(--soft);font-size:13px;margin-top:24px}
details summary{cursor:pointer;color:var(--soft);font-size:14px;margin-top:10px}
"#;
