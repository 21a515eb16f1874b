#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Sources look as the house style says, as far as a program can tell.
. "${0%/*}/lib.sh"
test_begin 'sources are in form'

sources() (
	cd "$TOP" &&
		{ git ls-files -co --exclude-standard 2>/dev/null ||
			find . -type f ! -path './build*' | cut -c 3-; } |
		grep -E "$1" | while read -r file; do
			test ! -f "$file" || echo "$file"
		done
)

form() {
	awk -f "$TOP/t/format.awk" "$@"
}

# refused FILE COMPLAINT: form complains of the file's one fault.
refused() {
	if form "$1" >said; then
		echo "nothing is wrong with $1"
		return 1
	fi
	test "$(wc -l <said)" -eq 1 && grep -q "$2" said || {
		cat said
		return 1
	}
}

spdx='SPDX-License-Identifier: Apache-2.0'

# repeat COUNT LINE
repeat() {
	awk -v n="$1" -v line="$2" 'BEGIN { while (n--) print line }'
}

check 'the checker sees each fault' '
	one() { printf "/* %s */\n%s\n" "$spdx" "$1" >one.c; }
	one "int wide;$(printf "\t\t\t\t\t\t\t\t\t\t")/* */"
	refused one.c "one.c:2: wider than 80"
	one "	sprintf(text, \"x\");"; refused one.c "banned"
	one "	n = atoi (text);"; refused one.c "banned"
	one "	x = 1; // one"; refused one.c "comments are"
	one "/* TO""DO */"; refused one.c "left for later"
	one "int trailing; "; refused one.c "blanks at the end"
	one "$(printf "int\nf(void)\n{\n"; repeat 101 "	;"; echo "}")"
	refused one.c "a function of more than 100"
	one "$(repeat 600 "int n;")"; refused one.c "more than 600"
	echo "int n;" >one.c; refused one.c "no SPDX"
	for void in "	@ cmp a b" "a && @ b" "a; @ b" "a || { @ b; }" "for a; do @ b"; do
		printf "# %s\n%s\n" "$spdx" "$void" | tr @ ! >one.t
		refused one.t "one.t:2: what must fail"
	done
	mkdir -p lua; one "	CLEANUP(freep) char *s;"; cp one.c lua/one.c
	refused lua/one.c "does not survive"
'
check 'and none where there is none' '
	one() { printf "/* %s */\n%s\n" "$spdx" "$1" >one.c; form one.c; }
	one "	snprintf(text, 10, \"sprintf(\"); /* no strcpy() */"
	one "/* unlike atoi(text),
 * system() or gets() */"
	one "	loop->system(x); my_system(x);"
	one "	url = \"https://example.org\";"
	one "$(printf "int\nf(void)\n{\n"; repeat 100 "	;"; echo "}")"
	one "/* https://example.org/$(repeat 80 x | tr -d "\n") */"
	one "$(repeat 599 "int n;")"
	printf "# %s\nif ! a; then refute b && test ! -e c; fi\n" "$spdx" >one.t
	form one.t
'

sources '\.([ch]|lua|sh|t|awk)$' >list
check 'every source has its licence, size and width, and no banned call' '
	test -s list
	cd "$TOP"
	form $(cat "$HOME/list")
'

grep '\.[ch]$' list >c
if command -v clang-format >/dev/null; then
	check 'clang-format would change nothing' '
		cd "$TOP"
		clang-format --dry-run -Werror $(cat "$HOME/c")
	'
else
	skip 'clang-format is not installed' 'clang-format would change nothing'
fi

check 'every test can be run' '
	find "$TOP/t" -name "*.t" ! -perm -u+x >not
	cat not
	test ! -s not
'
check 'shell scripts parse' '
	cd "$TOP"
	for script in $(grep -E "\.(sh|t)$" "$HOME/list"); do
		sh -n "$script"
	done
'

# heard LINES: of a check with these lines every failure is heard
heard() {
	printf "check one '\n\t%b\n'\n" "$1" >two.t
	awk -f "$TOP/t/checks.awk" two.t
}
check 'commands in checks that fail unheard are seen' '
	for lines in "a && b\n\tc" "a && b; c" "a &&\n\tb\n\tc" \
		"for x; do\n\t\ta && b\n\tdone"; do
		refute heard "$lines" >said
		test "$(wc -l <said)" -eq 1
	done
'
check 'and where there are none, none is' '
	for lines in "a\n\tb && c" "a && b || exit 1\n\tc" "(a && b)\n\tc" \
		"if a && b; then\n\t\tc\n\tfi" "a && exit 1\n\tb" \
		"a && b; rc=\$?; c" "a \"b && c\"\n\td"; do
		heard "$lines"
	done
'
check 'no check has any' '
	cd "$TOP"
	awk -f t/checks.awk $(grep "\.t$" "$HOME/list")
'

check 'the tests that t/README names are there' '
	cd "$TOP"
	named=$(sed -n "/^What must always hold/,\$p" t/README |
		grep -o "t/[a-z0-9_/-]*\.[ct]")
	test "$(echo "$named" | wc -l)" -gt 13
	ls $named
'
test_end
