//! What this program knows: formats and operators.

use serde::Serialize;

pub use modelsmith_ir::HUB_OPSET;

/// A format.
#[derive(Clone, Debug, Serialize)]
pub struct FormatInfo {
    /// Short name.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// Extensions.
    pub extensions: Vec<String>,
    /// It can be read.
    pub reads: bool,
    /// It can be written.
    pub writes: bool,
}

/// Every format.
pub fn formats() -> Vec<FormatInfo> {
    let one = |f: &&modelsmith_convert::FormatDef| FormatInfo {
        name: f.name.into(),
        title: f.title.into(),
        extensions: f.extensions.iter().map(|e| (*e).to_owned()).collect(),
        reads: true,
        writes: f.write.is_some(),
    };
    modelsmith_convert::FORMATS.iter().map(one).collect()
}

/// An operator.
#[derive(Clone, Debug, Serialize)]
pub struct OpInfo {
    /// Name.
    pub name: String,
    /// Domain.
    pub domain: String,
    /// Versions of the operator that are read, oldest first.
    pub versions: Vec<u32>,
    /// It can be said in simpler operators.
    pub decomposes: bool,
}

/// Every operator, by domain and name.
pub fn ops() -> Vec<OpInfo> {
    let mut out = modelsmith_ops::all()
        .iter()
        .map(|d| OpInfo {
            name: d.name.into(),
            domain: if d.domain.is_empty() { "ai.onnx".into() } else { d.domain.into() },
            versions: d.history.iter().map(|p| p.since).chain([d.since]).collect(),
            decomposes: d.decompose.is_some(),
        })
        .collect::<Vec<_>>();
    out.sort_by(|a, b| (&a.domain, &a.name).cmp(&(&b.domain, &b.name)));
    out
}

/// A kernel.
#[derive(Clone, Debug, Serialize)]
pub struct KernelInfo {
    /// Name: element type, kind, tile, instruction set.
    pub name: String,
    /// Family.
    pub family: String,
    /// Instruction sets that it needs.
    pub isa: String,
    /// True when this machine has them.
    pub runs_here: bool,
}

/// Every kernel, by family, best first.
pub fn kernels() -> Vec<KernelInfo> {
    use modelsmith_kernels as k;
    let mut out = Vec::new();
    add(&mut out, "gemm", k::gemm::FAST);
    add(&mut out, "gemm", k::gemm::KERNELS);
    add(&mut out, "conv", k::conv::FAST);
    add(&mut out, "conv", k::conv::KERNELS);
    add(&mut out, "recurrent", k::recurrent::KERNELS);
    add(&mut out, "recurrent", k::recurrent::GRU);
    add(&mut out, "attention", k::attn::KERNELS);
    add(&mut out, "eltwise", k::eltwise::KERNELS);
    add(&mut out, "reduce", k::reduce::KERNELS);
    add(&mut out, "softmax", k::softmax::KERNELS);
    add(&mut out, "norm", k::norm::KERNELS);
    add(&mut out, "pool", k::pooling::KERNELS);
    add(&mut out, "copy", k::movement::COPY);
    add(&mut out, "gather", k::movement::GATHER);
    add(&mut out, "resize", k::movement::RESIZE);
    out
}

fn add<P>(out: &mut Vec<KernelInfo>, family: &str, list: &[modelsmith_kernels::KernelDef<P>]) {
    let here = modelsmith_kernels::detect();
    out.extend(list.iter().map(|k| KernelInfo {
        name: k.name.into(),
        family: family.into(),
        isa: k.isa.to_string(),
        runs_here: here.contains(k.isa),
    }));
}

#[cfg(test)]
mod tests {
    use modelsmith_kop::Isa;

    /// A kernel that needs what some machines of a level lack would make plans, and bits, differ among them.
    #[test]
    fn kernels_need_whole_levels() {
        // The program uses tiles only where the processor has bfloat16 products too.
        let levels = [Isa::PORTABLE, Isa::AVX2, Isa::AVX512, Isa::AMX.union(Isa::AVX512_BF16), Isa::NEON];
        let levels = levels.map(|l| l.to_string());
        for k in super::kernels() {
            assert!(levels.contains(&k.isa), "{} needs {}", k.name, k.isa);
        }
    }
}
