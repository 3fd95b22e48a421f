"""Wrong calls of `build`, and what is said of each."""
from nblib.models import build
from tests.fixtures.refusals import check, refused

REFUSED = [
    (lambda: build(None, classes=2, size=8), "name=None"),
    (lambda: build("small_resnet", classes="2", size=8), "classes='2'"),
    (lambda: build("small_resnet", classes=2, size=None), "size=None"),
    (lambda: build("small_resnet", classes=2, size=8, seed=None), "seed=None"),
    (lambda: build("small_resnet", classes=2, size=8, seed=-1), "seed=-1"),
    (lambda: build("small_resnet", classes=2, size=8, weights=3), "weights=3"),
    (lambda: build("small_vit", classes=2, size=10**9), "small_vit.*1000000000 pixels"),
    (lambda: build("small_vit", classes=2, size=30), "30"),
    (lambda: build("", classes=2, size=8), "model ''"),
    (lambda: build("timm:", classes=2, size=8), "model 'timm:'"),
    (lambda: build("os.path:join", classes=2, size=8), "os.path:join"),
]


@refused(REFUSED)
def test_a_wrong_call_is_refused_in_words(call, said):
    check(call, said)
