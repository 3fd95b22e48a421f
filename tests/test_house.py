"""The rules of the house that a machine can check: who imports whom, sizes, pins, and what stays out of the files."""
import ast
import json
import re
import subprocess

import pytest
import yaml

from nblib.store import ROOT

GROUND = ["checks", "store", "hooks", "targets"]
ORDER = [*GROUND, "data", "models", "engine", "training", "methods", "metrics", "comparison", "exercises", "runs",
         "__main__"]
BESIDE = "figures"  # takes what others made, and imports only from the ground floor
FIRST = {"checks": set(), "store": {"checks"}, "hooks": {"checks"}, "targets": {"checks"}}
METHODS = sorted(path.parent.name for path in (ROOT / "nblib/methods").glob("*/__init__.py"))
DOORS = ["data", "models", "engine", "training", "metrics", "figures", "exercises", *(f"methods.{m}" for m in METHODS)]
SOURCES = sorted((ROOT / "nblib").rglob("*.py"))
MODULES = {"nblib." + ".".join(path.relative_to(ROOT / "nblib").with_suffix("").parts) for path in SOURCES} | {
    "nblib." + ".".join(path.parent.relative_to(ROOT / "nblib").parts)
    for path in SOURCES if path.name == "__init__.py"}
BY_PATH = {"nblib.models"}  # the room whose files are named: a network's own parts, and files of weights; but for these
BEHIND = {f"nblib.models.{name}" for name in ("batch_norm", "building", "foreign", "normalisation", "origin")}


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return listed.stdout.split()


def room(path) -> str:
    return path.relative_to(ROOT / "nblib").parts[0].removesuffix(".py")


def imported(path) -> set[str]:
    """Return the modules of `nblib` that a file imports, anywhere in it, as "nblib.room" or "nblib.room.module"."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "nblib":
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in MODULES else node.module for name in names} - {"nblib"}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("nblib.")}
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_from_rooms_before_it(path):
    here = room(path)
    if here == "__init__" or path.name == "environment.py":
        return
    for module in imported(path):
        other = module.split(".")[1]
        if other == here:
            continue
        if here in GROUND:
            assert other in FIRST[here], f"{here} lies on the ground floor and imports {other}"
        elif here == BESIDE:
            assert other in GROUND, f"figures imports {other}"
        elif other == BESIDE:
            assert ORDER.index(here) > ORDER.index("metrics"), f"{here} imports figures"
        else:
            assert ORDER.index(other) < ORDER.index(here), f"{here} imports {other}, which does not lie before it"


def own_room(path) -> str:
    """Return the room with a door to which a file belongs, such as "methods.saliency", or its top folder."""
    parts = path.relative_to(ROOT / "nblib").with_suffix("").parts
    return ".".join(parts[:2]) if parts[0] == "methods" and len(parts) > 2 else parts[0]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_everybody_outside_a_room_imports_its_door_only(path):
    for module in imported(path):
        name = module.removeprefix("nblib.")
        door = next((door for door in DOORS if name.startswith(f"{door}.")), None)
        named = f"nblib.{door}" in BY_PATH and module not in BEHIND
        assert door is None or own_room(path) == door or named, f"{path.name} imports {module}"


def test_rooms_of_methods_never_import_each_other():
    for path in SOURCES:
        mine = own_room(path)
        if mine.startswith("methods."):
            others = {module for module in imported(path) if module.startswith("nblib.methods.")}
            assert all(module.startswith(f"nblib.{mine}") for module in others), f"{path} imports {others}"


def test_doors_define_nothing_and_say_what_may_be_used():
    for path in SOURCES:
        if path.name != "__init__.py" or path.parent == ROOT / "nblib":
            continue
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree), f"{path} has no docstring"
        assert not any(isinstance(node, (ast.FunctionDef, ast.ClassDef)) for node in tree.body), path
        imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
        taken = {alias.asname or alias.name for node in imports for alias in node.names}
        shown = next((ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign)
                      and node.targets[0].id == "__all__"), [])
        assert set(shown) == taken, f"{path}: __all__ and the imports differ: {set(shown) ^ taken}"


@pytest.mark.parametrize("door", DOORS)
def test_a_door_is_a_map_of_its_room(door):
    folder = ROOT / "nblib" / door.replace(".", "/")
    said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
    inside = [path.stem for path in folder.glob("*.py") if path.stem != "__init__"]
    inside += [path.parent.name for path in folder.glob("*/__init__.py")]
    missing = [name for name in inside if f"`{name}`" not in said]
    assert not missing, f"the docstring of {folder} does not say what is in {missing}"


def test_what_a_docstring_sends_its_reader_to_is_there():
    for path in SOURCES:
        for name in re.findall(r"as in `(nblib[\w.]*)`", path.read_text()):
            assert name in MODULES or name.rpartition(".")[0] in MODULES, f"{path} says: as in {name}"


def test_nothing_refers_to_a_document_that_a_reader_has_not_got():
    section = re.compile(r"[Ss]pecification|(?<![\w.])[ABC]\d{1,2}(\.\d+)?(?=[);,.]| of )")  # such as a note's "B6.3"
    for path in [*SOURCES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "benchmarks").rglob("*.py"))]:
        found = section.search(path.read_text())
        assert not found or path.name == "test_house.py", f"{path} refers to {found[0]!r}"


def test_a_folder_holds_at_most_sixteen_files():
    for folder in {path.parent for path in SOURCES}:
        assert len(list(folder.glob("*.py"))) <= 16, folder


def test_no_file_is_a_drawer_for_everything():
    for path in SOURCES:
        assert path.stem not in {"common", "utils", "helpers", "misc"}, path


def test_only_hooks_registers_hooks_and_only_runs_knows_papermill():
    for path in SOURCES:
        text = path.read_text()
        assert path.name == "hooks.py" or not re.search(r"register_\w*hook", text), path
        assert room(path) == "runs" or "papermill" not in text, path


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_stay_small(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 300, "more than 300 lines: it is two things"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            described = ast.get_docstring(node, clean=False)
            lines = node.end_lineno - node.lineno + 1 - (len(described.splitlines()) if described else 0)
            assert lines <= 50, f"{node.name} has {lines} lines: it is two things"


def test_public_functions_have_docstrings():
    for path in SOURCES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{path.name}: {node.name} has no docstring"


def test_nothing_is_written_as_a_pickle_or_read_unsafely():
    for path in SOURCES:
        text = path.read_text()
        # processes.py hands a call to its own child through a pipe, as multiprocessing does; no disk sees it
        assert "torch.save" not in text and ("import pickle" not in text or path.name == "processes.py"), path
        for call in re.findall(r"torch\.load\([^)]*\)", text):
            assert "weights_only=True" in call, f"{path.name}: {call}"


def test_the_first_steps_need_only_the_standard_library():
    import sys

    for name in ("__init__.py", "__main__.py", "runs/__init__.py", "runs/environment.py"):
        tree = ast.parse((ROOT / "nblib" / name).read_text())
        top = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
        for node in top:
            names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            assert all(n.split(".")[0] in sys.stdlib_module_names | {"nblib"} for n in names), f"{name} imports {names}"


def test_conda_brings_python_and_the_pins_stand_in_one_list():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["dependencies"] in (["python=3.11", "pip"], ["python=3.12", "pip"])
    assert "conda env create -f environment.yml" in (ROOT / "book/running.md").read_text()
    pins = (ROOT / "requirements.txt").read_text().splitlines()
    project = (ROOT / "pyproject.toml").read_text()
    for name in re.findall(r'^    "([a-z0-9-]+)', project, re.M):
        assert any(line.startswith(f"{name}==") for line in pins), f"{name} is in pyproject.toml and not in the pins"


def test_no_names_of_hosts_or_machines():
    hosts = "|".join(["pypi" + ".org", "pythonhosted" + ".org", "registry.npmjs" + ".org", "deb.debian" + ".org"])
    folders = r"(?<![\w.])/(?:work|farm|root|home|tmp)/[\w.-]+"
    for name in tracked():
        path = ROOT / name
        if not path.is_file() or path.suffix in {".png", ".woff2", ".bib"}:
            continue
        text = path.read_text(errors="ignore")
        assert not re.search(hosts, text), f"{name} names a registry's host"
        assert not re.search(folders, text), f"{name} names a folder of one machine: {re.search(folders, text)[0]}"


def test_no_data_weights_or_outputs_are_tracked():
    for name in tracked():
        assert not re.search(r"\.(jpe?g|tar|npz|th|pt|pth|pkl|safetensors)$", name, re.I), name
        if name.endswith(".ipynb"):
            cells = json.loads((ROOT / name).read_text())["cells"]
            assert not any(cell.get("outputs") for cell in cells), f"{name} is committed with outputs"
