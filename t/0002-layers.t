#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every include is one that the layers allow, and every header stands alone.
. "${0%/*}/lib.sh"
test_begin 'the layers hold'

# sources PATTERN: the tree's files whose names match the extended pattern.
sources() (
	cd "$TOP" &&
		{ git ls-files -co --exclude-standard 2>/dev/null ||
			find . -type f ! -path './build*' | cut -c 3-; } |
		grep -E "$1" | while read -r file; do
			test ! -f "$file" || echo "$file"
		done
)

layers() {
	awk -f "$TOP/t/layers.awk" "$@"
}

# allowed FILE INCLUDE, refused FILE INCLUDE: what the tables say about it.
write_include() {
	mkdir -p "${1%/*}"
	echo "#include $2" >"$1"
}

allowed() {
	write_include "$1" "$2"
	layers "$1"
}

refused() {
	write_include "$1" "$2"
	if layers "$1" >said; then
		echo "$1 may include $2"
		return 1
	fi
	grep -q "^$1:1: may not include" said
}

check 'the tables refuse what goes up' '
	refused runner/base/mem.c "\"io/loop.h\""
	refused runner/io/nbd.c "\"manifests/model.h\""
	refused manifests/reader.c "\"lua/host.h\""
	refused lua/host.c "\"stages/stage.h\""
	refused stages/copy/ledger.c "\"manifests/model.h\""
	refused stages/source/ova.c "\"stages/stage.h\""
	refused stages/source/ova.c "\"stages/target/target.h\""
	refused stages/convert.c "\"runner/graph.h\""
	refused runner/base/mem.c "\"runner/graph.h\""
'
check 'runner sees endpoints only through stages/stage.h' '
	refused runner/graph.c "\"stages/source/source.h\""
	refused runner/graph.c "\"stages/fake.h\""
	refused runner/graph.c "\"stages/copy/ledger.h\""
	refused runner/command_copy.c "\"stages/target/target.h\""
	allowed runner/graph.c "\"stages/stage.h\""
	allowed runner/command_copy.c "\"stages/copy/copy.h\""
'
check 'a foreign header has one home' '
	refused stages/stages.c "<yaml.h>"
	refused runner/main.c "<curl/curl.h>"
	refused stages/source/ova.c "<libxml/parser.h>"
	refused stages/verify.c "<libnbd.h>"
	refused runner/base/fs.c "<openssl/evp.h>"
	refused stages/hook.c "<lua.h>"
	refused runner/main.c "<zlib.h>"
	allowed runner/io/http.c "<curl/curl.h>"
	allowed stages/copy/ledger.c "<openssl/evp.h>"
'
check 'what goes down or stays is allowed' '
	allowed stages/source/ova.c "\"stages/copy/copy.h\""
	allowed stages/hook.c "\"lua/host.h\""
	allowed runner/main.c "\"graph.h\""
	allowed runner/main.c "\"runner/graph.h\""
	allowed lua/host.c "\"lua/prelude.inc\""
	allowed runner/base/mem.c "<sys/stat.h>"
	allowed t/unit/any.c "<lua.h>"
'

sources '\.[ch]$' >list
check 'every include of the tree is allowed' '
	test -s list
	cd "$TOP"
	layers $(cat "$HOME/list")
'

flags='-std=c17 -D_GNU_SOURCE -Irunner -I.'
for package in jansson lua5.4 libnbd libxml-2.0 openssl yaml-0.1; do
	flags="$flags $(pkg-config --cflags "$package" 2>/dev/null)"
done
grep '\.h$' list >headers
if command -v "${CC:-cc}" >/dev/null; then
	check 'every header compiles alone' '
		cd "$TOP"
		${CC:-cc} $flags -fsyntax-only -x c $(cat "$HOME/headers")
	'
	check_fail 'one that does not is noticed' '
		echo "size_t needs_stddef(void);" >alone.h
		${CC:-cc} $flags -fsyntax-only -x c alone.h
	'
else
	skip 'no C compiler' 'every header compiles alone'
fi
test_end
