//! The type guard, tracing and pipelines, on rules made for the purpose.

use modelsmith_ir::{Model, NodeId, text, verify};
use modelsmith_rewrite::{
    Graph, Options, Pass, Pipeline, Preserves, Rule, Stage, Target, Trace, Try, apply_rules, check, run,
};

static MUL_ONE: Rule = Rule::text("mul-one", "Mul(x, 1)", "x", Preserves::Exact);
static WRONG: Rule = Rule::text("wrong", "Add(x, y)", "Sub(x, y)", Preserves::Exact);
static NEVER: Rule = Rule::text("never", "Relu(Abs(Neg(x)))", "Relu(Abs(Sqrt(x)))", Preserves::Exact)
    .when(|_, _| Err("on principle".into()));
static CLOSE: Rule = Rule::text("close", "Div(x, 3)", "Mul(x, 0.33333333333333331)", Preserves::Exact);

fn model(text: &str) -> Model {
    text::parse(text, modelsmith_ops::all()).unwrap()
}

fn apply(m: &mut Model, rule: &'static Rule) -> (usize, Trace) {
    let (target, mut trace) = (Target::internal(), Trace { verbose: true, ..Trace::default() });
    let n = apply_rules(&mut Graph::new(m, &target, &mut trace), &[rule]);
    assert_eq!(verify(m), []);
    (n, trace)
}

#[test]
fn the_guard_refuses_a_change_of_rank_and_says_so() {
    let mut m = model("graph(%x: f32[3]) { %a = Mul(%x, f32[1, 1] 1) %y = Neg(%a) return %y }");
    let (n, trace) = apply(&mut m, &MUL_ONE);
    assert_eq!((n, m.nodes.len()), (0, 2));
    assert_eq!(trace.events[0].miss.as_deref(), Some("f32[3] does not refine f32[1, 3]"));
    let mut m = model("graph(%x: f32[3]) { %a = Mul(f32[1] 1, %x) %y = Neg(%a) return %y }");
    assert_eq!(apply(&mut m, &MUL_ONE).0, 1);
}

#[test]
fn a_miss_leaves_no_nodes_behind() {
    let mut m = model("graph(%x: f32[3]) { %a = Neg(%x) %b = Abs(%a) %y = Relu(%b) return %y }");
    let (n, trace) = apply(&mut m, &NEVER);
    assert_eq!((n, m.nodes.len()), (0, 3));
    assert_eq!(trace.missed["never"]["on principle"], 1);
    let mut m = model("graph(%x: f32[3]) { %b = Abs(%x) %y = Relu(%b) return %y }");
    let (_, trace) = apply(&mut m, &NEVER);
    assert_eq!(trace.events[0].miss.as_deref(), Some("no node where Neg is wanted"));
}

#[test]
fn a_value_used_elsewhere_stops_a_match() {
    let mut m = model("graph(%x: f32[3]) { %a = Neg(%x) %b = Abs(%a) %y = Relu(%b) return %y, %b }");
    let (_, trace) = apply(&mut m, &NEVER);
    assert_eq!(trace.events[0].miss.as_deref(), Some("a value inside is used elsewhere"));
}

#[test]
fn the_automatic_check_refuses_wrong_rules() {
    assert!(check::check_rule(&MUL_ONE).is_ok());
    assert!(check::check_rule(&WRONG).unwrap_err().contains("differs"));
    assert!(check::check_rule(&CLOSE).unwrap_err().contains("differs"), "not exact");
    assert!(check::check_rule(&NEVER).unwrap_err().contains("fires on none"));
}

fn break_it(g: &mut Graph, n: NodeId) -> Try {
    let v = g.output(n)?;
    g.set_input(n, 0, Some(v));
    Ok(())
}

static GOOD: Pass = Pass { name: "good", run: |_| Ok(0), ..Pass::BASE };
static BROKEN: Pass = Pass {
    name: "broken",
    run: |cx| {
        let mut g = Graph::new(cx.model, cx.target, cx.trace);
        let n = g.nodes()[0];
        break_it(&mut g, n).map_err(|m| m.0.into_owned())?;
        Ok(1)
    },
    ..Pass::BASE
};
static LOSSY: Pass =
    Pass { name: "lossy", preserves: Preserves::Lossy("for the test"), run: |_| Err("it ran".into()), ..Pass::BASE };

#[test]
fn the_verifier_names_the_pass_that_broke_the_model() {
    static PIPELINE: Pipeline = Pipeline { name: "p", stages: &[Stage { passes: &[&GOOD, &BROKEN], rounds: 1 }] };
    let mut m = model("graph(%x: f32[3]) { %y = Neg(%x) return %y }");
    let options = Options { verify: true, ..Options::default() };
    let e = run(&mut m, &PIPELINE, &Target::internal(), &options).unwrap_err().to_string();
    assert!(e.starts_with("after the pass broken the model is broken: error[ir.value.order]"), "{e}");
}

#[test]
fn a_lossy_pass_runs_only_when_asked_for() {
    static PIPELINE: Pipeline = Pipeline { name: "p", stages: &[Stage { passes: &[&GOOD, &LOSSY], rounds: 1 }] };
    let mut m = model("graph(%x: f32[3]) { %y = Neg(%x) return %y }");
    assert!(run(&mut m, &PIPELINE, &Target::internal(), &Options::default()).is_ok());
    let asked = Options { only: vec!["lossy".into()], ..Options::default() };
    let e = run(&mut m, &PIPELINE, &Target::internal(), &asked).unwrap_err().to_string();
    assert_eq!(e, "pass lossy: it ran");
}
