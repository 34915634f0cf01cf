//! Inputs of a model: given by files or specifications, drawn where nothing is given.

pub mod between;
pub mod draw;
pub mod image;
pub mod ranges;
mod reach;
mod spec;

pub use spec::InputSpec;

use crate::random::Random;
use crate::shapes::{Bound, Fill, Sizes};
use crate::{Error, Result, files, npz, test_data};
use draw::DrawKind;
use modelsmith_base::DType;
use modelsmith_ir::{Model, Type};
use modelsmith_tensor::{Tensor, Value};
use ranges::Domain;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Where the inputs of a run come from.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// Specifications by input name.
    pub specs: Vec<(String, InputSpec)>,
    /// A folder of `NAME.npy` or `input_K.pb` files, or an `.npz` file.
    pub from: Option<PathBuf>,
    /// Values by input name, one list for each sample; what a list leaves out comes from elsewhere.
    pub sets: Vec<Vec<(String, Value)>>,
    /// Seed of what is drawn.
    pub seed: u64,
    /// Shapes of what is drawn.
    pub sizes: Sizes,
}

/// How one input is made, for reports.
#[derive(Clone, Debug, Serialize)]
pub struct InputInfo {
    /// Name.
    pub name: String,
    /// Type, with the sizes that were chosen.
    pub ty: String,
    /// `given` or `drawn`.
    pub source: String,
    /// Limits of what is drawn.
    pub range: String,
}

/// Makes the samples of a model's inputs.
pub struct InputMaker {
    names: Vec<String>,
    types: Vec<Type>,
    shapes: Vec<Option<Vec<usize>>>,
    /// Shapes with larger sizes in the place of free dimensions, for models that fail on 1.
    larger: Vec<Vec<Option<Vec<usize>>>>,
    /// Shapes for some of the samples: over a single element a softmax, and so a whole attention, says nothing.
    varied: Vec<Vec<Option<Vec<usize>>>>,
    domains: Vec<Domain>,
    given: Vec<Option<Value>>,
    /// One list of values for each sample, in the order of the inputs.
    sets: Vec<Vec<Option<Value>>>,
    specs: Vec<Option<InputSpec>>,
    seed: u64,
    /// Free dimensions that are 1 because nobody gave a size.
    pub assumed: Vec<String>,
}

impl Inputs {
    /// Binds the inputs to a model.
    ///
    /// # Errors
    /// When a name is not in the model, a file cannot be read, or sizes contradict each other.
    pub fn maker(&self, model: &Model) -> Result<InputMaker> {
        let params = &model.graph().params;
        let names = params.iter().map(|&p| model.values[p].name.clone()).collect::<Vec<_>>();
        let types = params.iter().map(|&p| model.ty(p).clone()).collect::<Vec<_>>();
        let of_sets = self.sets.iter().flatten().map(|(name, _)| name);
        for name in self.specs.iter().map(|(name, _)| name).chain(of_sets) {
            if !names.contains(name) {
                return Err(Error::usage(format!(
                    "--input {name}: the model has no such input; it has {}",
                    list(&names)
                )));
            }
        }
        let mut given = match &self.from {
            Some(path) => from_path(path, &names)?,
            None => vec![None; names.len()],
        };
        let mut specs = vec![None; names.len()];
        for (i, name) in names.iter().enumerate() {
            match self.specs.iter().rev().find(|(n, _)| n == name).map(|(_, s)| s) {
                Some(InputSpec::Npy(path)) => given[i] = Some(Value::Tensor(npz::read_npy(path)?)),
                Some(InputSpec::Pb(path)) => given[i] = Some(test_data::read_value(path, &types[i])?),
                Some(spec) => {
                    given[i] = None;
                    specs[i] = Some(spec.clone());
                }
                None => {}
            }
        }
        let sets = self.sets.iter().map(|set| {
            names.iter().map(|n| set.iter().find(|(m, _)| m == n).map(|(_, v)| v.clone())).collect::<Vec<_>>()
        });
        let sets = sets.collect::<Vec<_>>();
        if let Some(first) = sets.first() {
            given.iter_mut().zip(first).filter(|(_, v)| v.is_some()).for_each(|(g, v)| g.clone_from(v));
        }
        let sizes = self.sizes_with(&names, &given);
        let Bound { shapes, assumed, .. } = sizes.bind(model)?;
        let (mut larger, mut varied) = (Vec::new(), Vec::new());
        if !assumed.is_empty() {
            for fill in Fill::LARGER {
                larger.push(sizes.bind_with(model, fill)?.shapes);
            }
            for fill in Fill::VARIED {
                varied.push(sizes.bind_with(model, fill)?.shapes);
            }
        }
        let domains = ranges::domains(model);
        Ok(InputMaker { names, types, shapes, larger, varied, domains, given, sets, specs, seed: self.seed, assumed })
    }

    /// The sizes asked for, and those that follow from tensors that were given.
    fn sizes_with(&self, names: &[String], given: &[Option<Value>]) -> Sizes {
        let mut sizes = self.sizes.clone();
        for (name, value) in names.iter().zip(given) {
            if let (Some(Value::Tensor(t)), false) = (value, sizes.shapes.iter().any(|(n, _)| n == name)) {
                sizes.shapes.push((name.clone(), t.shape().iter().map(|&d| Some(d)).collect()));
            }
        }
        sizes
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "no inputs".into() } else { names.join(", ") }
}

fn from_path(path: &Path, names: &[String]) -> Result<Vec<Option<Value>>> {
    if path.is_dir() {
        let mut out = Vec::new();
        for (i, name) in names.iter().enumerate() {
            let npy = path.join(files::array_file(name));
            let pb = path.join(format!("input_{i}.pb"));
            out.push(if npy.exists() {
                Some(Value::Tensor(npz::read_npy(&npy)?))
            } else if pb.exists() {
                Some(test_data::read_value(&pb, &Type::Unknown)?)
            } else {
                None
            });
        }
        return match out.iter().any(Option::is_some) || names.is_empty() {
            true => Ok(out),
            false => Err(Error::usage("the folder holds no input of this model").in_file(path).help(format!(
                "files named {} or input_K.pb are read",
                names.iter().map(|n| files::array_file(n)).collect::<Vec<_>>().join(", ")
            ))),
        };
    }
    let arrays = npz::read(path)?;
    let find = |n: &String| arrays.iter().find(|(a, _)| a == n).map(|(_, t)| Value::Tensor(t.clone()));
    let out = names.iter().map(find).collect::<Vec<_>>();
    if out.iter().all(Option::is_none) && !names.is_empty() {
        let have = arrays.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Error::usage(format!(
            "no array is named as an input; the file has {have}, the model {}",
            list(names)
        ))
        .in_file(path));
    }
    Ok(out)
}

impl InputMaker {
    /// Names of the inputs.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// True when at least one input is drawn, so that samples differ.
    pub fn draws(&self) -> bool {
        self.drawn().contains(&true)
    }

    fn drawn(&self) -> Vec<bool> {
        let fixed = |s: &Option<InputSpec>| matches!(s, Some(InputSpec::Zeros | InputSpec::Ones | InputSpec::Image(_)));
        self.given.iter().zip(&self.specs).map(|(g, s)| g.is_none() && !fixed(s)).collect()
    }

    /// Samples to make, where the caller asks for `wanted` of those that are drawn.
    pub fn samples(&self, wanted: usize) -> usize {
        match self.draws() {
            true => wanted.max(self.sets.len()).max(1),
            false => self.sets.len().max(1),
        }
    }

    /// True where an output of `model` can depend on what is drawn.
    pub fn matters(&self, model: &Model) -> bool {
        reach::outputs_depend(model, &self.drawn())
    }

    /// Leaves free dimensions at 1 in every sample where `other`, whose inputs are fed in this `order`, takes no more. Draws
    /// elements of its types where nothing else says the type.
    pub fn fit(&mut self, other: &Model, order: &[usize]) {
        for (&p, &at) in other.graph().params.iter().zip(order) {
            if let Some(Type::Tensor(t)) = self.types.get_mut(at) {
                t.dtype = t.dtype.or(other.ty(p).dtype());
            }
        }
        let takes = |shapes: &Vec<Option<Vec<usize>>>| {
            other.graph().params.iter().zip(order).all(|(&p, &at)| {
                let fed = shapes.get(at).and_then(Option::as_ref);
                let (Some(wanted), Some(fed)) = (other.ty(p).shape(), fed) else { return true };
                wanted.len() == fed.len() && wanted.iter().zip(fed).all(|(w, &f)| w.size().is_none_or(|w| w == f))
            })
        };
        self.varied.retain(takes);
    }

    /// Free dimensions that are 1 because nobody gave a size, for the report of a comparison.
    pub fn assumed_in_samples(&self) -> Vec<String> {
        let more = if self.varied.is_empty() { "" } else { " (more in some samples)" };
        self.assumed.iter().map(|name| format!("{name}{more}")).collect()
    }

    /// Shapes of sample number `sample` at its first draw: every second one from the third on has more than one element
    /// along free dimensions.
    fn first_shapes(&self, sample: usize) -> &Vec<Option<Vec<usize>>> {
        match sample {
            2 => self.varied.first().unwrap_or(&self.shapes),
            s if s > 2 && s % 2 == 0 => self.varied.last().unwrap_or(&self.shapes),
            _ => &self.shapes,
        }
    }

    /// For each input, whether any number between two of its values may be fed.
    pub fn linear(&self) -> Vec<bool> {
        let free = |s: &Option<InputSpec>| matches!(s, None | Some(InputSpec::Normal | InputSpec::Uniform));
        self.domains.iter().zip(&self.specs).map(|(d, s)| *d == Domain::Free && free(s)).collect()
    }

    /// How each input is made.
    pub fn describe(&self) -> Vec<InputInfo> {
        let one = |i: usize| {
            let ty = match (&self.types[i], &self.shapes[i], &self.given[i]) {
                (_, _, Some(Value::Tensor(t))) => Type::fixed(t.dtype(), t.shape()),
                (Type::Tensor(t), Some(s), _) => Type::fixed(t.dtype.unwrap_or(DType::F32), s),
                (ty, ..) => ty.clone(),
            };
            let source = match (&self.given[i], &self.specs[i]) {
                (Some(_), _) => "given".to_owned(),
                (None, Some(spec)) => format!("{spec:?}"),
                (None, None) => format!("drawn, seed {}", self.seed),
            };
            let range = if self.given[i].is_some() { String::new() } else { self.domains[i].describe() };
            InputInfo { name: self.names[i].clone(), ty: ty.to_string(), source, range }
        };
        (0..self.names.len()).map(one).collect()
    }

    /// As [`InputMaker::describe`], with the types of the values that were fed; and the free dimensions that are 1.
    pub fn describe_fed(&self, fed: &[Value]) -> (Vec<InputInfo>, Vec<String>) {
        let mut infos = self.describe();
        infos.iter_mut().zip(fed).for_each(|(info, v)| info.ty = crate::compare::describe(v));
        let shape = |v: &Value| v.tensor().ok().map(|t| t.shape().to_vec());
        let as_bound = self.shapes.iter().zip(fed).all(|(s, v)| s.is_none() || shape(v).is_none() || *s == shape(v));
        (infos, if as_bound { self.assumed.clone() } else { vec![] })
    }

    /// Draws worth making before a model that fails on them is given up.
    pub fn attempts(&self) -> usize {
        if self.draws() { 4 + 2 * self.larger.len() } else { 1 }
    }

    /// The inputs of sample number `sample`; a further `attempt` gives other values, and from the fifth on other sizes
    /// of the free dimensions that nobody gave one.
    ///
    /// # Errors
    /// When a type cannot be drawn or an image does not fit.
    pub fn sample(&self, sample: usize, attempt: usize) -> Result<Vec<Value>> {
        // Zeros and large values do not change by drawing again: a model that fails on them gets ordinary ones.
        let kind = if attempt == 0 { DrawKind::of_sample(sample) } else { DrawKind::of_sample(3 + attempt % 5) };
        (0..self.names.len()).map(|i| self.value(i, kind, sample, attempt)).collect()
    }

    fn value(&self, i: usize, kind: DrawKind, sample: usize, attempt: usize) -> Result<Value> {
        let of_set = self.sets.get(sample % self.sets.len().max(1)).and_then(|set| set[i].as_ref());
        if let Some(v) = of_set.or(self.given[i].as_ref()) {
            return Ok(v.clone());
        }
        let name = &self.names[i];
        let keys = [name.as_str(), &sample.to_string(), &attempt.to_string()];
        let mut r = Random::new(self.seed, &keys);
        let shapes = match attempt {
            0 => self.first_shapes(sample),
            a => a.checked_sub(4).and_then(|a| self.larger.get(a / 2)).unwrap_or(&self.shapes),
        };
        let shape = shapes[i].as_deref();
        let ty = &self.types[i];
        let dtype = ty.dtype().unwrap_or(DType::F32);
        let dims = shape.unwrap_or_default();
        let n = dims.iter().product::<usize>();
        let constant = |x: f64| -> Result<Value> {
            Ok(Value::Tensor(match dtype {
                DType::String => Tensor::zeros(dtype, dims)?,
                _ => Tensor::from_f64s(dtype, dims, &vec![x; n])?,
            }))
        };
        match &self.specs[i] {
            Some(InputSpec::Image(image)) => Ok(Value::Tensor(image.load(dtype, dims)?)),
            Some(InputSpec::Zeros) => constant(0.0),
            Some(InputSpec::Ones) => constant(1.0),
            Some(InputSpec::RandInt(lo, hi)) => {
                let range = Domain::Range { lo: *lo, hi: hi - 1, why: "--input".into() };
                draw::draw(ty, shape, &range, DrawKind::Normal, &mut r)
            }
            Some(InputSpec::Normal) => draw::draw(ty, shape, &Domain::Free, DrawKind::Normal, &mut r),
            Some(InputSpec::Uniform) => draw::draw(ty, shape, &Domain::Free, DrawKind::Uniform, &mut r),
            _ => draw::draw(ty, shape, &self.domains[i], kind, &mut r)
                .map_err(|e| e.at(modelsmith_base::Place::tensor(name))),
        }
    }
}
