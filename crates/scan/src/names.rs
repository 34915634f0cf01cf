//! Imports that are known to do harm. The list only raises the severity and words the reason: what is in neither list
//! is refused too.

/// Why an import is dangerous.
pub(crate) fn danger(module: &str, name: &str) -> Option<&'static str> {
    let module = match module {
        "__builtin__" => "builtins",
        other => other,
    };
    let top = module.split('.').next().unwrap_or(module);
    if let Some((_, reason)) = MODULES.iter().find(|(m, _)| *m == module || *m == top) {
        return Some(reason);
    }
    let last = name.rsplit('.').next().unwrap_or(name);
    let named = NAMES.iter().find(|(m, n, _)| *m == module && (*n == name || *n == last || n.is_empty()));
    named.map(|(_, _, reason)| *reason)
}

const RUNS: &str = "runs commands";
const CODE: &str = "runs code";
const NET: &str = "opens connections";
const FILES: &str = "changes files";
const LOADS: &str = "loads another pickle or library";
const REACH: &str = "reaches attributes by name, the first step to any function";

const MODULES: &[(&str, &str)] = &[
    ("os", RUNS),
    ("posix", RUNS),
    ("nt", RUNS),
    ("subprocess", RUNS),
    ("commands", RUNS),
    ("pty", RUNS),
    ("popen2", RUNS),
    ("pexpect", RUNS),
    ("multiprocessing", RUNS),
    ("asyncio", RUNS),
    ("distutils", RUNS),
    ("setuptools", RUNS),
    ("pip", RUNS),
    ("venv", RUNS),
    ("ensurepip", RUNS),
    ("pydoc", RUNS),
    ("webbrowser", RUNS),
    ("code", CODE),
    ("codeop", CODE),
    ("runpy", CODE),
    ("bdb", CODE),
    ("pdb", CODE),
    ("profile", CODE),
    ("cProfile", CODE),
    ("timeit", CODE),
    ("trace", CODE),
    ("doctest", CODE),
    ("types", CODE),
    ("ctypes", CODE),
    ("importlib", CODE),
    ("imp", CODE),
    ("zipimport", CODE),
    ("threading", CODE),
    ("idlelib", CODE),
    ("lib2to3", CODE),
    ("site", CODE),
    ("sys", "changes the interpreter"),
    ("gc", REACH),
    ("inspect", REACH),
    ("operator", REACH),
    ("functools", REACH),
    ("linecache", FILES),
    ("shutil", FILES),
    ("tempfile", FILES),
    ("io", FILES),
    ("fileinput", FILES),
    ("socket", NET),
    ("ssl", NET),
    ("http", NET),
    ("httplib", NET),
    ("urllib", NET),
    ("urllib2", NET),
    ("requests", NET),
    ("aiohttp", NET),
    ("ftplib", NET),
    ("smtplib", NET),
    ("telnetlib", NET),
    ("paramiko", NET),
    ("xmlrpc", NET),
    ("pickle", LOADS),
    ("_pickle", LOADS),
    ("cPickle", LOADS),
    ("marshal", LOADS),
    ("shelve", LOADS),
    ("dill", LOADS),
    ("cloudpickle", LOADS),
    ("joblib", LOADS),
    ("signal", "changes the interpreter"),
    ("platform", RUNS),
    ("logging", FILES),
    ("zipfile", FILES),
    ("tarfile", FILES),
    ("sqlite3", FILES),
    ("dbm", FILES),
    ("pkgutil", CODE),
    ("unittest", CODE),
    ("test", RUNS),
    ("cgitb", CODE),
    ("concurrent", RUNS),
    ("nntplib", NET),
    ("imaplib", NET),
    ("poplib", NET),
    ("antigravity", NET),
    ("encodings", CODE),
    ("turtle", CODE),
    ("tkinter", CODE),
    ("mailcap", RUNS),
];

/// Module, name (empty: any), reason.
const NAMES: &[(&str, &str, &str)] = &[
    ("builtins", "eval", CODE),
    ("builtins", "exec", CODE),
    ("builtins", "execfile", CODE),
    ("builtins", "compile", CODE),
    ("builtins", "apply", CODE),
    ("builtins", "map", CODE),
    ("builtins", "filter", CODE),
    ("builtins", "__import__", CODE),
    ("builtins", "open", FILES),
    ("builtins", "file", FILES),
    ("builtins", "getattr", REACH),
    ("builtins", "setattr", REACH),
    ("builtins", "delattr", REACH),
    ("builtins", "globals", REACH),
    ("builtins", "locals", REACH),
    ("builtins", "vars", REACH),
    ("builtins", "input", CODE),
    ("builtins", "breakpoint", CODE),
    ("builtins", "exit", "ends the program"),
    ("builtins", "quit", "ends the program"),
    ("builtins", "print", "writes to the terminal"),
    ("torch", "load", LOADS),
    ("torch.serialization", "load", LOADS),
    ("torch.jit", "load", LOADS),
    ("torch.hub", "", NET),
    ("torch.ops", "load_library", LOADS),
    ("torch._inductor.codecache", "", CODE),
    ("torch.utils.cpp_extension", "", CODE),
    ("torch.storage", "_load_from_bytes", LOADS),
    ("numpy", "load", LOADS),
    ("numpy.testing._private.utils", "", CODE),
    ("pandas", "read_pickle", LOADS),
    ("_codecs", "lookup", CODE),
    ("pathlib", "", FILES),
    ("numpy", "save", FILES),
    ("numpy", "savetxt", FILES),
    ("numpy", "fromfile", FILES),
    ("numpy", "memmap", FILES),
    ("torch", "save", FILES),
    ("torch.package", "", LOADS),
    ("torch.fx.graph_module", "", CODE),
    ("torch.utils.collect_env", "", RUNS),
    ("torch.distributed", "", NET),
    ("torch.jit", "", CODE),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dangerous_names_have_a_reason() {
        assert_eq!(danger("__builtin__", "eval"), Some(CODE));
        assert_eq!(danger("requests.api", "get"), Some(NET));
        assert_eq!(danger("builtins", "object.getattr"), Some(REACH));
        assert_eq!(danger("collections", "OrderedDict"), None);
    }
}
