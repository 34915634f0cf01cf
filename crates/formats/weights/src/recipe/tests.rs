use super::*;

fn int(value: i128) -> MetaValue {
    MetaValue::Int { dtype: DType::U32, value }
}

/// Metadata of a model with so many layers, heads and heads of keys.
fn model(layers: i128, heads: i128, keys: i128, experts: i128) -> Vec<(String, MetaValue)> {
    vec![
        ("general.architecture".into(), "llama".into()),
        ("llama.block_count".into(), int(layers)),
        ("llama.attention.head_count".into(), int(heads)),
        ("llama.attention.head_count_kv".into(), int(keys)),
        ("llama.expert_count".into(), int(experts)),
    ]
}

fn names(layers: usize) -> Vec<String> {
    let parts = ["attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_up", "ffn_gate", "ffn_down"];
    let mut out = vec!["output.weight".into(), "token_embd.weight".into(), "output_norm.weight".into()];
    (0..layers).for_each(|i| out.extend(parts.iter().map(|p| format!("blk.{i}.{p}.weight"))));
    out
}

fn types(recipe_name: &str, meta: &[(String, MetaValue)], names: &[String], columns: usize) -> HashMap<String, String> {
    let shape = |n: &str| if n.contains("norm") { vec![columns] } else { vec![64, columns] };
    let tensors = names.iter().map(|n| (n.as_str(), shape(n))).collect::<Vec<_>>();
    let chosen = choose(recipe(recipe_name).unwrap(), meta, &tensors, &[], false).unwrap();
    let shown = |s| match s {
        Stored::Kept => "kept".to_string(),
        Stored::Dense(d) => d.name().to_string(),
        Stored::Blocks(e) => e.name.to_string(),
    };
    names.iter().cloned().zip(chosen.into_iter().map(shown)).collect()
}

#[test]
fn a_medium_recipe_gives_more_bits_to_some_layers() {
    let t = types("q4_k", &model(32, 32, 32, 0), &names(32), 4096);
    let more = (0..32).filter(|i| t[&format!("blk.{i}.ffn_down.weight")] == "Q6_K").collect::<Vec<_>>();
    assert_eq!(more, [0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31]);
    let values = (0..32).filter(|i| t[&format!("blk.{i}.attn_v.weight")] == "Q6_K").collect::<Vec<_>>();
    assert_eq!(values, more);
    assert_eq!((t["output.weight"].as_str(), t["token_embd.weight"].as_str()), ("Q6_K", "Q4_K"));
    assert_eq!((t["blk.7.attn_q.weight"].as_str(), t["blk.7.attn_norm.weight"].as_str()), ("Q4_K", "kept"));
    let tied = types("Q4_K_M", &model(4, 32, 8, 0), &names(4)[1..], 4096);
    assert_eq!(tied["token_embd.weight"], "Q6_K");
}

#[test]
fn rows_that_do_not_fit_get_another_type() {
    let t = types("Q4_K_M", &model(8, 8, 8, 0), &names(8), 96);
    assert_eq!(t["blk.4.attn_q.weight"], "Q5_0");
    assert_eq!(t["blk.0.attn_v.weight"], "Q8_0");
    assert_eq!(t["output.weight"], "Q8_0");
    let t = types("Q5_K_M", &model(8, 8, 8, 0), &["blk.4.attn_q.weight".into()], 100);
    assert_eq!(t["blk.4.attn_q.weight"], "f16");
    let tensors = [("blk.0.attn_q.weight", vec![4, 100])];
    let e = choose(recipe("Q4_0").unwrap(), &[], &tensors, &[], false).unwrap_err().to_string();
    assert!(e.contains("rows of 100 elements are not whole Q4_0 blocks, and no other type stands in"), "{e}");
}

#[test]
fn overrides_come_first_and_experts_count() {
    let to = stored("Q5_1").unwrap();
    let matches = |name: &str| name.contains("attn_q");
    let tensors = [("blk.0.attn_q.weight", vec![8, 256]), ("blk.0.attn_k.weight", vec![8, 256])];
    let overrides = [Override { matches: &matches, to }];
    let chosen = choose(recipe("Q4_K_S").unwrap(), &model(1, 8, 2, 8), &tensors, &overrides, false).unwrap();
    assert_eq!(format!("{chosen:?}"), "[Blocks(Q5_1), Blocks(Q8_0)]");
    let e = choose(recipe("Q2_K_S").unwrap(), &model(1, 8, 8, 0), &tensors, &[], false).unwrap_err().to_string();
    assert!(e.contains("Q2_K_S needs an importance matrix; give one with --imatrix"), "{e}");
}

#[test]
fn a_checkpoint_is_sorted_and_says_what_it_is() {
    let floats = |shape: &[usize]| {
        let n = shape.iter().product();
        Arc::new(WeightExpr::Literal(modelsmith_tensor::Tensor::new(shape, vec![0.5f32; n]).unwrap()))
    };
    let order = ["token_embd.weight", "blk.10.attn_q.weight", "blk.2.attn_q.weight", "blk.2.attn_k.weight"];
    let tensors = order.iter().map(|n| (n.to_string(), floats(&[2, 256]))).collect();
    let mut meta = model(11, 8, 8, 0);
    meta.insert(0, ("general.file_type".into(), int(1)));
    meta.push(("split.count".into(), int(2)));
    let from = Checkpoint { tensors, meta, tree: None };
    let weights: Importance = [("blk.2.attn_q.weight".to_string(), Arc::from(vec![1f32; 256]))].into();
    let (out, _) = apply(recipe("Q6_K").unwrap(), &from, &[], &weights).unwrap();
    let names = out.tensors.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>();
    assert_eq!(names, ["token_embd.weight", "blk.2.attn_k.weight", "blk.2.attn_q.weight", "blk.10.attn_q.weight"]);
    let WeightExpr::Encode { importance: Some(found), .. } = out.tensors[2].1.as_ref() else { panic!() };
    assert_eq!(found.len(), 256);
    let last = out.meta.iter().rev().take(2).map(|(k, v)| (k.as_str(), v.text())).collect::<Vec<_>>();
    assert_eq!(last, [("general.file_type", "18".into()), ("general.quantization_version", "2".into())]);
    assert_eq!(out.meta.len(), 7);
}
