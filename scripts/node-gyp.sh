#!/bin/sh
# scripts/node-gyp.sh DIRECTORY: builds the native module there, with the headers that came with the running Node where
# there are any, so that node-gyp need not download them.
set -eu
cd "$1"
prefix=$(node -p 'require("node:path").resolve(process.execPath, "../..")')
set --
if [ -e "$prefix/include/node/node.h" ]; then set -- --nodedir="$prefix"; fi
# node_modules/.bin is on the Makefile's PATH; npx would change to the workspace that the directory belongs to.
exec node-gyp configure build "$@"
