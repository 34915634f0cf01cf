//! Expressions: names, attributes, calls.

use super::{Frame, Walk};
use crate::aten::schema::Given;
use crate::aten::table;
use crate::aten::value::Tuple;
use crate::aten::{Kind, List, Outcome, Stop, Val, call, damaged, unsupported};
use crate::script::ast::{Expr, Type};
use crate::script::parse::as_type;
use std::rc::Rc;

impl Walk<'_> {
    pub(super) fn expr(&mut self, frame: &mut Frame, e: &Expr) -> Outcome<Val> {
        self.wanted(frame, e, 1)
    }

    /// The value of `e`; `count` is the number of results that are wanted of a call.
    pub(super) fn wanted(&mut self, frame: &mut Frame, e: &Expr, count: usize) -> Outcome<Val> {
        Ok(match e {
            Expr::None => Val::None,
            Expr::Bool(b) => Val::Bool(*b),
            Expr::Int(n) => Val::Int(*n),
            Expr::Float(x) => Val::Float(*x),
            Expr::Text(t) => Val::Str(t.clone()),
            Expr::Imaginary => return unsupported("complex numbers"),
            Expr::Name(name) => return self.variable(frame, name),
            Expr::Attr(of, name) => return self.attribute(frame, of, name),
            Expr::Item(of, index) => {
                let (of, index) = (self.expr(frame, of)?, self.expr(frame, index)?);
                return self.item(&of, &index);
            }
            Expr::Call(callee, args) => return self.call_expr(frame, callee, args, count),
            Expr::List(items) => {
                let items = items.iter().map(|e| self.expr(frame, e)).collect::<Outcome<Vec<_>>>()?;
                self.cx.list(items)
            }
            Expr::Tuple(items) => {
                let items = items.iter().map(|e| self.expr(frame, e)).collect::<Outcome<Vec<_>>>()?;
                Val::tuple(items)
            }
            Expr::Dict(pairs) => {
                let pairs = pairs
                    .iter()
                    .map(|(k, v)| Ok((self.expr(frame, k)?, self.expr(frame, v)?)))
                    .collect::<Outcome<Vec<_>>>()?;
                self.cx.dict(pairs)
            }
            Expr::Unary(op, of) => {
                let v = self.expr(frame, of)?;
                let name = match *op {
                    "not" => "__not__",
                    "-" => "neg",
                    "~" => "bitwise_not",
                    _ => return Ok(v),
                };
                return self.operator(&format!("aten::{name}"), vec![(None, v)], 1);
            }
            Expr::Binary(op, a, b) => return self.binary(frame, op, a, b),
            Expr::Choice(cond, a, b) => {
                let cond = self.expr(frame, cond)?;
                match self.truth(&cond)? {
                    Val::Bool(true) => return self.expr(frame, a),
                    Val::Bool(false) => return self.expr(frame, b),
                    _ => return unsupported("a choice inside an expression whose condition only a run knows"),
                }
            }
        })
    }

    fn variable(&mut self, frame: &Frame, name: &Rc<str>) -> Outcome<Val> {
        match frame.vars.get(name) {
            Some(v) => Ok(v.clone()),
            None => damaged(format!("the name `{name}` has no value")),
        }
    }

    fn attribute(&mut self, frame: &mut Frame, of: &Expr, name: &Rc<str>) -> Outcome<Val> {
        if let Expr::Name(base) = of
            && base.as_ref() == "CONSTANTS"
        {
            let at = name.strip_prefix('c').and_then(|n| n.parse::<usize>().ok());
            return match at.and_then(|i| self.constants.get(i)) {
                Some(v) => Ok(v.clone()),
                None => damaged(format!("the archive has no constant {name}")),
            };
        }
        if let Some(dotted) = of.dotted()
            && (dotted == "__torch__" || dotted.starts_with("__torch__."))
        {
            return Ok(Val::Code(format!("{dotted}.{name}").into()));
        }
        let v = self.expr(frame, of)?;
        self.member(&v, name)
    }

    pub(super) fn member(&mut self, v: &Val, name: &str) -> Outcome<Val> {
        match v {
            Val::Object(r) => {
                let object = self.cx.heap.objects.get(r.0).cloned();
                let Some(object) = object else { return damaged("an object that is not there") };
                if let Some(v) = object.attrs.get(name) {
                    return match v {
                        Val::Unset(why) => unsupported(format!("attribute `{name}`: {why}")),
                        v => Ok(v.clone()),
                    };
                }
                let found = self.archive.class(&object.class);
                let class = self.looked(found)?;
                let constant = class.and_then(|c| c.attrs.into_iter().find(|(n, _, v)| n == name && v.is_some()));
                match constant {
                    Some((_, _, Some(e))) => {
                        let mut frame = Frame { vars: Default::default(), file: "".into() };
                        self.expr(&mut frame, &e)
                    }
                    _ => damaged(format!("{} has no attribute `{name}`", object.class)),
                }
            }
            Val::Tuple(t) => match t.names.iter().position(|n| n == name).and_then(|i| t.items.get(i)) {
                Some(v) => Ok(v.clone()),
                None => damaged(format!("a tuple without the field `{name}`")),
            },
            Val::Tensor(_) => self.operator(&format!("prim::{name}"), vec![(None, v.clone())], 1),
            Val::Maybe(_, inner) => self.member(&inner.clone(), name),
            other => damaged(format!("{} has no attribute `{name}`", other.what())),
        }
    }

    fn binary(&mut self, frame: &mut Frame, op: &str, a: &Expr, b: &Expr) -> Outcome<Val> {
        let left = self.expr(frame, a)?;
        // The right side of `and` and `or` counts only where the left one leaves it open.
        if op == "and" || op == "or" {
            match self.truth(&left)? {
                Val::Bool(x) if x == (op == "or") => return Ok(Val::Bool(x)),
                Val::Bool(_) => {
                    let right = self.expr(frame, b)?;
                    return self.truth(&right);
                }
                left => {
                    let right = self.expr(frame, b)?;
                    let right = self.truth(&right)?;
                    let name = if op == "and" { "__and__" } else { "__or__" };
                    return match self.arithmetic(name, &left, &right)? {
                        Some(v) => Ok(v),
                        None => unsupported("a condition of other than flags"),
                    };
                }
            }
        }
        let right = self.expr(frame, b)?;
        let name = match op {
            "+" => "add",
            "-" => "sub",
            "*" => "mul",
            "/" => "div",
            "//" => "floordiv",
            "%" => "remainder",
            "**" => "pow",
            "@" => "matmul",
            "==" => "eq",
            "!=" => "ne",
            "<" => "lt",
            "<=" => "le",
            ">" => "gt",
            ">=" => "ge",
            "&" => "__and__",
            "|" => "__or__",
            "^" => "__xor__",
            "<<" => "__lshift__",
            ">>" => "__rshift__",
            "is" => "__is__",
            "is not" => "__isnot__",
            "in" | "not in" => "__contains__",
            other => return damaged(format!("the operator `{other}`")),
        };
        let swap = name == "__contains__";
        let given = if swap { vec![(None, right), (None, left)] } else { vec![(None, left), (None, right)] };
        let made = self.operator(&format!("aten::{name}"), given, 1)?;
        if op == "not in" {
            return self.operator("aten::__not__", vec![(None, made)], 1);
        }
        Ok(made)
    }

    fn call_expr(
        &mut self,
        frame: &mut Frame,
        callee: &Expr,
        args: &[(Option<String>, Expr)],
        count: usize,
    ) -> Outcome<Val> {
        if let Expr::Name(name) = callee {
            if let Some(Val::Code(code)) = frame.vars.get(name).cloned() {
                let given = self.arguments(frame, args)?;
                return self.call_named(&code, &given);
            }
            return self.call_name(frame, name, args);
        }
        let dotted = callee.dotted();
        let root = dotted.as_deref().and_then(|d| d.split('.').next());
        let local = root.is_some_and(|r| frame.vars.contains_key(r));
        if let (Some(name), false) = (&dotted, local) {
            let given = self.arguments(frame, args)?;
            if let Some(rest) = name.strip_prefix("torch.") {
                return self.operator(&format!("aten::{rest}"), given, count);
            }
            if let Some((domain, op)) = name.strip_prefix("ops.").and_then(|r| r.split_once('.')) {
                return self.operator(&format!("{domain}::{op}"), given, count);
            }
            if name.starts_with("__torch__.") {
                return self.call_named(name, &given);
            }
        }
        let Expr::Attr(of, method) = callee else { return damaged("a call of what is no function") };
        let object = self.expr(frame, of)?;
        let given = self.arguments(frame, args)?;
        self.call_method(&object, method, given)
    }

    fn arguments(&mut self, frame: &mut Frame, args: &[(Option<String>, Expr)]) -> Outcome<Vec<Given>> {
        args.iter().map(|(name, e)| Ok((name.clone(), self.expr(frame, e)?))).collect()
    }

    pub(in crate::script) fn call_method(&mut self, object: &Val, method: &str, given: Vec<Given>) -> Outcome<Val> {
        let Val::Object(r) = object else {
            if matches!(object, Val::Tensor(_)) {
                let domain = if method == "tolist" { "prim" } else { "aten" };
                let all = std::iter::once((None, object.clone())).chain(given).collect();
                return self.operator(&format!("{domain}::{method}"), all, 1);
            }
            return unsupported(format!("the method `{method}` of {}", object.what()));
        };
        let Some(o) = self.cx.heap.objects.get(r.0).cloned() else { return damaged("an object that is not there") };
        let found = self.archive.method(&o.class, method);
        let Some(f) = self.looked(found)? else {
            // Context managers of PyTorch itself have no code in an archive.
            if method.starts_with("__") {
                return Ok(Val::None);
            }
            return unsupported(format!("{} has no code for `{method}`", o.class));
        };
        let module = std::mem::replace(&mut self.cx.module, o.path.to_string());
        let mut all = vec![(None, object.clone())];
        all.extend(given);
        let out = self.call_function(&f, &all);
        self.cx.module = module;
        out
    }

    /// A function or class of the archive by its dotted name.
    fn call_named(&mut self, name: &str, given: &[Given]) -> Outcome<Val> {
        // PyTorch's switch for kernels that do an encoder layer in one: off, the layer is written in plain operators.
        if name == "__torch__.torch.backends.mha.get_fastpath_enabled" {
            return Ok(Val::Bool(false));
        }
        let found = self.archive.function(name);
        if let Some(f) = self.looked(found)? {
            return self.call_function(&f, given);
        }
        if let Some(class) = name.strip_suffix(".__new__") {
            return Ok(self.instance(class));
        }
        let found = self.archive.class(name);
        let Some(class) = self.looked(found)? else {
            return unsupported(format!("the archive has no code for {name}"));
        };
        if class.base == "NamedTuple" {
            let names = class.attrs.iter().map(|(n, _, _)| n.clone()).collect();
            let items = given.iter().map(|(_, v)| v.clone()).collect();
            return Ok(Val::Tuple(Rc::new(Tuple { items, names })));
        }
        let object = self.instance(name);
        if class.methods.iter().any(|m| m.name == "__init__") {
            self.call_method(&object, "__init__", given.to_vec())?;
        }
        Ok(object)
    }

    /// An object without attributes.
    fn instance(&mut self, class: &str) -> Val {
        let attrs = Default::default();
        self.cx.heap.objects.push(crate::aten::value::Object { class: class.into(), attrs, path: "".into() });
        Val::Object(crate::aten::value::ObjectRef(self.cx.heap.objects.len().saturating_sub(1)))
    }

    /// A call of a plain name: conversions and what the compiler wrote for itself.
    fn call_name(&mut self, frame: &mut Frame, name: &str, args: &[(Option<String>, Expr)]) -> Outcome<Val> {
        let first = args.first().map(|(_, e)| e);
        let second = args.get(1).map(|(_, e)| e);
        match (name, first, second) {
            ("annotate", Some(ty), Some(e)) => {
                let v = self.expr(frame, e)?;
                self.annotated(ty, v)
            }
            ("unchecked_cast", Some(ty), Some(e)) => {
                let v = self.expr(frame, e)?;
                let optional = as_type(ty).is_some_and(|t| t.is("Optional"));
                Ok(match v {
                    Val::Maybe(_, inner) if !optional => inner.as_ref().clone(),
                    v => v,
                })
            }
            ("uninitialized", _, _) => Ok(Val::Unset("a variable that is read before it has a value".into())),
            ("isinstance", Some(e), Some(ty)) => {
                let v = self.expr(frame, e)?;
                self.instance_of(&v, ty)
            }
            ("getattr", Some(of), Some(Expr::Text(name))) => {
                let v = self.expr(frame, of)?;
                self.member(&v, name)
            }
            ("print", _, _) => Ok(Val::None),
            _ => {
                let given = self.arguments(frame, args)?;
                match (name, given.as_slice()) {
                    ("int", [(_, v)]) => self.number_as(Kind::Int, v),
                    ("float", [(_, v)]) => self.number_as(Kind::Float, v),
                    ("bool", [(_, v)]) => self.number_as(Kind::Bool, v),
                    ("str", [(_, v)]) => Ok(Val::Str(self.text(v).into())),
                    ("tuple", [(_, v)]) => Ok(Val::tuple(self.cx.items(v)?)),
                    ("device", [(_, v)]) => Ok(v.clone()),
                    _ => self.operator(&format!("aten::{name}"), given, 1),
                }
            }
        }
    }

    /// `annotate(Optional[T], v)` and `annotate(List[T], [])` say what is known already; an empty list of numbers keeps its kind.
    fn annotated(&mut self, ty: &Expr, v: Val) -> Outcome<Val> {
        let ty = as_type(ty).unwrap_or_default();
        match (&v, ty.name.as_str()) {
            (Val::Int(_), "float") => self.number_as(Kind::Float, &v),
            (Val::Tensor(t), "number" | "int" | "float") => {
                let x = self.cx.read(*t)?;
                match ty.name.as_str() {
                    "number" => Ok(v),
                    "float" => Ok(self.cx.number_of(Kind::Float, x)),
                    _ => Ok(self.cx.number_of(Kind::Int, x)),
                }
            }
            _ => Ok(v),
        }
    }

    fn instance_of(&mut self, v: &Val, ty: &Expr) -> Outcome<Val> {
        let types = match ty {
            Expr::List(items) | Expr::Tuple(items) => items.iter().filter_map(as_type).collect::<Vec<_>>(),
            one => as_type(one).into_iter().collect(),
        };
        let fits = types.iter().any(|t| self.is_of(v, t));
        Ok(Val::Bool(fits))
    }

    fn is_of(&self, v: &Val, ty: &Type) -> bool {
        match (v, ty.name.as_str()) {
            (_, "Any") | (Val::None, "NoneType" | "None") | (Val::Tensor(_), "Tensor") => true,
            (Val::Str(_), "str") | (Val::Device(_), "Device" | "device") => true,
            (Val::None, "Optional") => true,
            (v, "Optional") => ty.args.first().is_some_and(|t| self.is_of(v, t)),
            (Val::List(r), "List" | "list") => match (self.cx.heap.lists.get(r.0), ty.args.first()) {
                (Some(List::Items(items)), Some(t)) => items.iter().all(|v| self.is_of(v, t)),
                _ => true,
            },
            (Val::Dict(_), "Dict" | "dict") => true,
            (Val::Tuple(t), "Tuple" | "tuple") => {
                ty.args.is_empty()
                    || t.items.len() == ty.args.len() && t.items.iter().zip(&ty.args).all(|(v, t)| self.is_of(v, t))
            }
            (Val::Object(r), name) => self.cx.heap.objects.get(r.0).is_some_and(|o| o.class.as_ref() == name),
            (v, "int") => v.number() == Some(Kind::Int),
            (v, "float") => v.number() == Some(Kind::Float),
            (v, "bool") => v.number() == Some(Kind::Bool),
            (v, "number") => v.number().is_some(),
            _ => false,
        }
    }

    /// An operator by its name: of Python values first, then of the table, then as it is.
    pub(super) fn operator(&mut self, name: &str, given: Vec<Given>, count: usize) -> Outcome<Val> {
        if let Some(why) = given.iter().find_map(|(_, v)| if let Val::Unset(why) = v { Some(why) } else { None }) {
            return unsupported(why.to_string());
        }
        if let Some(v) = self.builtin(name, &given)? {
            return Ok(v);
        }
        // A value that may be absent stands for itself where an operator takes it: the program has asked.
        let given = given
            .into_iter()
            .map(|(n, v)| match v {
                Val::Maybe(_, inner) => (n, inner.as_ref().clone()),
                v => (n, v),
            })
            .collect::<Vec<_>>();
        let given = self.upgraded(name, given)?;
        let lost = |cx: &crate::aten::Context| {
            // No input is without a rank: the value comes from an operator that stayed as it is.
            let unranked = |&p: &modelsmith_ir::ValueId| cx.ty(p).as_tensor().is_some() && cx.ty(p).rank().is_none();
            !cx.model.graph().params.iter().any(unranked)
        };
        let made = match call(&mut self.cx, name, &given) {
            Err(stop @ Stop::Rank(..)) if lost(&self.cx) => Err(Stop::Unsupported(stop.to_string())),
            other => other,
        };
        match made {
            Err(stop @ Stop::Unsupported(_)) => {
                let made = table::foreign(&mut self.cx, name, &given, count, &stop)?;
                Ok(match (made.first(), made.len()) {
                    (Some(one), 1) => one.clone(),
                    _ => Val::tuple(made),
                })
            }
            other => other,
        }
    }

    /// The arguments as the present form of the operator takes them, for archives of before it changed.
    fn upgraded(&mut self, name: &str, mut given: Vec<Given>) -> Outcome<Vec<Given>> {
        let version = self.archive.version;
        let moded = given.iter().any(|(n, _)| n.as_deref() == Some("rounding_mode"));
        match name {
            // Up to version 3 integers were divided to integers, towards zero.
            "aten::div" | "aten::div_" if version < 4 && !moded && given.len() == 2 => {
                let all = given.iter().map(|(_, v)| v).collect::<Vec<_>>();
                let dtype = self.cx.common(&all)?;
                if !dtype.is_float() && !dtype.is_complex() {
                    given.push((Some("rounding_mode".into()), Val::str("trunc")));
                }
            }
            // Up to version 4 a tensor full of an integer was one of floats.
            "aten::full" if version < 5 => {
                let typed = given.iter().any(|(n, v)| n.as_deref() == Some("dtype") && !matches!(v, Val::None));
                if !typed {
                    given.retain(|(n, _)| n.as_deref() != Some("dtype"));
                    given.push((Some("dtype".into()), Val::Int(6)));
                }
            }
            // Up to version 7 and 8 the number of steps had a default.
            "aten::linspace" | "aten::logspace" if version < if name.ends_with("linspace") { 8 } else { 9 } => {
                let places = given.iter().filter(|(n, _)| n.is_none()).count();
                if let Some((_, steps @ Val::None)) = given.get_mut(2).filter(|(n, _)| n.is_none()) {
                    *steps = Val::Int(100);
                } else if places == 2 && !given.iter().any(|(n, _)| n.as_deref() == Some("steps")) {
                    given.insert(2, (None, Val::Int(100)));
                }
            }
            _ => {}
        }
        Ok(given)
    }
}
