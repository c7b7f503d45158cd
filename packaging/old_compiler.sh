#!/usr/bin/env bash
# The compiler and the C library of an older Debian in a folder, so that wheels built with it run on older machines; for
# root, on a Debian that has debootstrap. Prints what to set CXX to.
#     packaging/old_compiler.sh bullseye /opt/bullseye
set -euo pipefail
suite=$1 root=$(realpath -m "$2")
debootstrap --variant=minbase --include=g++ "$suite" "$root" >&2
# Links to / are to end in this folder, where the linker is to look.
find "$root/usr/lib" "$root/usr/lib64" -lname '/*' | while read -r link; do
    ln -sfr "$root$(readlink "$link")" "$link"
done
printf '#!/bin/sh\nexec %s/usr/bin/g++ --sysroot=%s "$@"\n' "$root" "$root" >"$root/g++"
chmod +x "$root/g++"
echo "CXX=$root/g++"
