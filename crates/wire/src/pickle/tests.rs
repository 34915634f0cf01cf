use super::*;
use proptest::prelude::*;

fn pickle(bytes: &[u8]) -> Pickle<'_> {
    read(bytes, 0, &Limits::default())
}

/// A value as Python would write it, calls as `name(..)`; for values without cycles.
fn shown(p: &Pickle<'_>, id: NodeId) -> String {
    let list = |ids: &[NodeId]| ids.iter().map(|&i| shown(p, i)).collect::<Vec<_>>().join(", ");
    let dict = |pairs: &[(NodeId, NodeId)]| {
        pairs.iter().map(|&(k, v)| format!("{}: {}", shown(p, k), shown(p, v))).collect::<Vec<_>>().join(", ")
    };
    match p.node(id) {
        Node::None => "None".into(),
        Node::Bool(b) => format!("{b}"),
        Node::Int(i) => format!("{i}"),
        Node::Big(b) => format!("big{b:?}"),
        Node::Float(f) => format!("{f:?}"),
        Node::Text(t) => format!("{t:?}"),
        Node::Str(s) => format!("s{:?}", String::from_utf8_lossy(s)),
        Node::Bytes(b) => format!("b{b:?}"),
        Node::ByteArray(b) => format!("a{b:?}"),
        Node::List(ids) => format!("[{}]", list(ids)),
        Node::Tuple(ids) => format!("({})", list(ids)),
        Node::Dict(pairs) => format!("{{{}}}", dict(pairs)),
        Node::Set(ids) => format!("set({})", list(ids)),
        Node::FrozenSet(ids) => format!("frozenset({})", list(ids)),
        Node::Global { .. } => match p.global(id) {
            Some((module, name)) => format!("{module}.{name}"),
            None => "computed".into(),
        },
        Node::Call(c) => {
            let kwargs = c.kwargs.map(|k| format!(" **{}", shown(p, k))).unwrap_or_default();
            let mut out = format!("{:?} {}{}{kwargs}", c.how, shown(p, c.callee), shown(p, c.args));
            if !c.items.is_empty() || !c.pairs.is_empty() {
                out += &format!(" with [{}] {{{}}}", list(&c.items), dict(&c.pairs));
            }
            c.states.iter().for_each(|&s| out += &format!(" state {}", shown(p, s)));
            out
        }
        Node::Persistent(id) => format!("persistent {}", shown(p, *id)),
        Node::Buffer => "buffer".into(),
    }
}

fn value(bytes: &[u8]) -> String {
    let p = pickle(bytes);
    assert_eq!(p.error, None, "{bytes:?}");
    assert_eq!(p.end, bytes.len() as u64);
    shown(&p, p.root.unwrap())
}

fn error(bytes: &[u8]) -> String {
    pickle(bytes).error.unwrap().to_string()
}

#[test]
fn scalars_of_every_instruction() {
    let cases: [(&[u8], &str); 41] = [
        (b"N.", "None"),
        (b"\x88.", "true"),
        (b"\x89.", "false"),
        (b"I01\n.", "true"),
        (b"I00\n.", "false"),
        (b"I-17\n.", "-17"),
        (b"I0x1F\n.", "31"),
        (b"J\xfe\xff\xff\xff.", "-2"),
        (b"K\xff.", "255"),
        (b"M\x01\x02.", "513"),
        (b"L-5L\n.", "-5"),
        (b"L9223372036854775807L\n.", "9223372036854775807"),
        (b"L-9223372036854775808L\n.", "-9223372036854775808"),
        (b"L9223372036854775808L\n.", "big[0, 0, 0, 0, 0, 0, 0, 128, 0]"),
        (b"L-9223372036854775809L\n.", "big[255, 255, 255, 255, 255, 255, 255, 127, 255]"),
        (b"\x8a\x00.", "0"),
        (b"\x8a\x01\xff.", "-1"),
        (b"\x8a\x09\x01\x00\x00\x00\x00\x00\x00\x00\x00.", "1"),
        (b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x80\x00.", "big[0, 0, 0, 0, 0, 0, 0, 128, 0]"),
        (b"\x8b\x02\x00\x00\x00\x00\x01.", "256"),
        (b"F1.5\n.", "1.5"),
        (b"F-inf\n.", "-inf"),
        (b"G?\xf8\x00\x00\x00\x00\x00\x00.", "1.5"),
        (b"S'a\\n\\x41\\101\\'\\q'\n.", "s\"a\\nAA'\\\\q\""),
        (b"S\"\"\n.", "s\"\""),
        (b"T\x02\x00\x00\x00ab.", "s\"ab\""),
        (b"U\x01a.", "s\"a\""),
        (b"V\xe4\\u20ac\\U0001F600\\\\u0041\n.", "\"\u{e4}\u{20ac}\u{1f600}\\\\\\\\u0041\""),
        (b"X\x02\x00\x00\x00\xc3\xa4.", "\"\u{e4}\""),
        (b"\x8c\x01a.", "\"a\""),
        (b"\x8d\x01\x00\x00\x00\x00\x00\x00\x00a.", "\"a\""),
        (b"B\x01\x00\x00\x00\xff.", "b[255]"),
        (b"C\x01\xff.", "b[255]"),
        (b"\x8e\x01\x00\x00\x00\x00\x00\x00\x00\xff.", "b[255]"),
        (b"\x96\x01\x00\x00\x00\x00\x00\x00\x00\xff.", "a[255]"),
        (b"\x97\x98.", "buffer"),
        (b"P12\n.", "persistent \"12\""),
        (b"K\x01Q.", "persistent 1"),
        (b"\x80\x05N.", "None"),
        (b"\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00N.", "None"),
        (b"(NN1N.", "None"),
    ];
    for (bytes, wanted) in cases {
        assert_eq!(value(bytes), wanted, "{bytes:?}");
    }
}

#[test]
fn containers_and_the_memo() {
    let cases: [(&[u8], &str); 22] = [
        (b"].", "[]"),
        (b").", "()"),
        (b"}.", "{}"),
        (b"\x8f.", "set()"),
        (b"(K\x01K\x02l.", "[1, 2]"),
        (b"(K\x01K\x02t.", "(1, 2)"),
        (b"(K\x01K\x02d.", "{1: 2}"),
        (b"(K\x01K\x02\x91.", "frozenset(1, 2)"),
        (b"K\x01\x85.", "(1)"),
        (b"K\x01K\x02\x86.", "(1, 2)"),
        (b"K\x01K\x02K\x03\x87.", "(1, 2, 3)"),
        (b"]K\x01aK\x02a.", "[1, 2]"),
        (b"](K\x01K\x02e.", "[1, 2]"),
        (b"}K\x01K\x02s.", "{1: 2}"),
        (b"}(K\x01K\x02K\x03Nu.", "{1: 2, 3: None}"),
        (b"\x8f(K\x01K\x02\x90.", "set(1, 2)"),
        (b"K\x012\x86.", "(1, 1)"),
        (b"NK\x010.", "None"),
        (b"]p7\n0g7\nK\x05a.", "[5]"),
        (b"]q\x070h\x07K\x05a.", "[5]"),
        (b"]r\x07\x00\x00\x000j\x07\x00\x00\x00K\x05a.", "[5]"),
        (b"]\x940]\x94K\x01a0h\x01h\x00\x86.", "([1], [])"),
    ];
    for (bytes, wanted) in cases {
        assert_eq!(value(bytes), wanted, "{bytes:?}");
    }
    // A mark that POP takes away.
    assert_eq!(value(b"N(0."), "None");
}

#[test]
fn imports_and_calls_are_records() {
    let cases: [(&[u8], &str); 8] = [
        (b"cos\nsystem\n.", "os.system"),
        (b"\x8c\x02os\x8c\x06system\x93.", "os.system"),
        (b"cos\nsystem\n(K\x01tR.", "Reduce os.system(1)"),
        (b"ccollections\nOrderedDict\n)RK\x01K\x02s.", "Reduce collections.OrderedDict() with [] {1: 2}"),
        (b"cm\nC\n)\x81}b.", "New m.C() state {}"),
        (b"cm\nC\n)}\x92.", "NewEx m.C() **{}"),
        (b"(K\x01im\nC\n.", "Inst m.C(1)"),
        (b"(cm\nC\nK\x01o.", "Obj m.C(1)"),
    ];
    for (bytes, wanted) in cases {
        assert_eq!(value(bytes), wanted, "{bytes:?}");
    }
    let p = pickle(b"cos\nsystem\nU\x02ls\x85R}b0cm\nD\n(Ne.");
    let seen = p.events.iter().map(|e| e.offset).collect::<Vec<_>>();
    assert_eq!(seen, [0, 16, 18, 20, 27]);
    assert!(matches!(p.events[2].what, What::Build { .. }) && matches!(p.events[4].what, What::Change(_)));
}

#[test]
fn a_name_may_be_the_result_of_a_call() {
    let p = pickle(b"\x8c\x02oscm\nf\n)R\x93.");
    assert_eq!(p.error, None);
    assert_eq!(p.global(p.root.unwrap()), None);
    // An imported attribute may be a text as well.
    let p = pickle(b"cm\nf\n\x8c\x01x\x93.");
    assert_eq!((p.error, p.events.len()), (None, 2));
    assert_eq!(error(b"\x8c\x02osK\x01\x93."), "at byte offset 6: the operand is not text");
}

#[test]
fn objects_are_changed_where_they_were_memoised() {
    // Both places hold the one list, which also holds itself.
    let p = pickle(b"]q\x00h\x00ah\x00\x86.");
    let items = p.items(p.root.unwrap()).unwrap();
    assert_eq!(items[0], items[1]);
    assert_eq!(p.items(items[0]).unwrap(), [items[0]]);
    assert_eq!(value(b"cm\nC\n)\x81q\x00h\x00K\x01b0h\x00."), "New m.C() state 1");
}

#[test]
fn what_ran_before_a_fault_is_kept() {
    let p = pickle(b"cos\nsystem\nU\x02ls\x85R\xff");
    assert_eq!(p.error.as_ref().unwrap().to_string(), "at byte offset 17: 0xff is no pickle instruction");
    assert_eq!((p.root, p.events.len()), (None, 2));
    let p = pickle(b"\x80\x09\x95\xff\x00\x00\x00\x00\x00\x00\x00N.");
    assert_eq!(p.error.unwrap().to_string(), "at byte offset 0: pickle protocol 9 is unknown, 5 is the newest");
    assert!(p.root.is_some());
}

#[test]
fn faults_say_where() {
    let cases: [(&[u8], &str); 12] = [
        (b"", "at byte offset 0: the pickle ends inside an instruction: 1 bytes wanted, 0 left"),
        (b"N", "at byte offset 1: the pickle ends inside an instruction: 1 bytes wanted, 0 left"),
        (b".", "at byte offset 0: the instruction takes more values than the stack holds"),
        (b"cos\nsystem", "at byte offset 4: the pickle ends inside a text operand"),
        (
            b"X\xff\xff\xff\xffa",
            "at byte offset 5: the pickle ends inside an instruction: 4294967295 bytes wanted, 1 left",
        ),
        (b"N(\x85", "at byte offset 2: the instruction takes more values than the stack holds"),
        (b"N(R", "at byte offset 2: the instruction takes more values than the stack holds"),
        (b"Nt", "at byte offset 1: the instruction wants a MARK, and there is none"),
        (b"(Nd", "at byte offset 2: the operand is not keys with values: their number is odd"),
        (b"h\x05", "at byte offset 0: memo entry 5 was never stored"),
        (b"\x82\x05", "at byte offset 0: extension code 5 names a class in a registry of the writing program"),
        (b"Ione\n.", "at byte offset 0: the operand is not an integer"),
    ];
    for (bytes, wanted) in cases {
        assert_eq!(error(bytes), wanted, "{bytes:?}");
    }
    let p = read(b"((((N.", 0, &Limits { nodes: 9, held: 3 });
    assert!(p.error.unwrap().to_string().contains("more than 3 values on the stack"));
    let p = read(b"]]]]N.", 0, &Limits { nodes: 5, held: 9 });
    assert_eq!(p.error.unwrap().to_string(), "at byte offset 2: more than 5 values, which is the limit");
}

#[test]
fn pickles_follow_each_other() {
    let bytes = b"K\x01.K\x02.rest";
    let first = pickle(bytes);
    let second = read(bytes, first.end as usize, &Limits::default());
    assert_eq!((shown(&second, second.root.unwrap()), second.end), ("2".into(), 6));
}

#[test]
fn shared_objects_cost_what_their_bytes_cost() {
    // Each level holds the one below it five times: 5^1000 strings when unfolded.
    let mut bytes = b"\x8c\x03lolq\x00".to_vec();
    for _ in 0..1000 {
        bytes.extend(b"0(h\x00h\x00h\x00h\x00h\x00lq\x00");
    }
    bytes.push(b'.');
    assert!(pickle(&bytes).nodes.len() < bytes.len());
}

proptest! {
    #[test]
    fn changed_bytes_never_panic(cuts in proptest::collection::vec((0usize..200, any::<u8>()), 1..6), at in 0usize..220) {
        let mut bytes = b"\x80\x04\x95\x50\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94]\x94(K\x01M\x01\x02J\x01\x02\x03\x04e\
            \x8c\x01b\x94ctorch._utils\n_rebuild_tensor_v2\n(K\x00)NtR}bcm\nC\n)\x81}b\x8f(K\x01\x90V\\u20ac\nI5\nL5L\nF1.5\n\
            S'ab'\n2g0\nP1\nK\x01Q\x86\x87(im\nC\n(cm\nC\no}\x92u.".to_vec();
        for (place, byte) in cuts {
            let place = place % bytes.len();
            bytes[place] = byte;
        }
        let p = read(&bytes, at % bytes.len(), &Limits { nodes: 100, held: 50 });
        prop_assert!(p.end <= bytes.len() as u64);
        prop_assert!(p.root.is_some() || p.error.is_some());
        p.nodes.iter().for_each(|n| if let Node::Tuple(ids) = n {
            ids.iter().for_each(|id| assert!(id.index() < p.nodes.len()));
        });
    }
}
