# SPDX-License-Identifier: Apache-2.0
# The rules of style that people forget: awk -f t/format.awk FILE..., run from
# the top of the tree.  Prints what breaks them; exits 1 if anything did.
# Where clang-format has an opinion, this has none.

BEGIN {
	max_columns = 80
	max_file = 600
	max_function = 100
	banned = "sprintf vsprintf strcpy strcat strncat strtok gets system" \
		" popen alloca atoi atol atoll atof tmpnam mktemp" \
		" setjmp longjmp"
	gsub(/ /, "|", banned)
	banned = "(^|[^A-Za-z0-9_.>])(" banned ")[ \t]*\\("
	# in two parts, as this file is checked as well
	later = "(^|[^A-Za-z0-9_])(TO" "DO|FIX" "ME|XX" "X)([^A-Za-z0-9_]|$)"
}

function complain(file, line, what) {
	printf "%s:%d: %s\n", file, line, what
	bad = 1
}

function columns(text, n, i) {
	n = 0
	for (i = 1; i <= length(text); i++)
		n += substr(text, i, 1) == "\t" ? 8 - n % 8 : 1
	return n
}

# The line without strings, characters and comments.
function code_of(text, before) {
	gsub(/\\./, "", text)
	if (!in_comment) {
		gsub(/"[^"]*"/, "\"\"", text)
		gsub(/'[^']*'/, "''", text)
	}
	before = ""
	while (text != "") {
		if (in_comment) {
			if (!match(text, /\*\//))
				break
			text = substr(text, RSTART + 2)
			in_comment = 0
		} else if (match(text, /\/\*/)) {
			before = before substr(text, 1, RSTART - 1)
			text = substr(text, RSTART + 2)
			in_comment = 1
		} else {
			before = before text
			break
		}
	}
	return before
}

function end_file() {
	if (file == "")
		return
	if (!spdx)
		complain(file, 1, "no SPDX-License-Identifier at its head")
	if (is_c && lines > max_file)
		complain(file, lines, "more than " max_file " lines")
}

function check_c(code) {
	code = code_of($0)
	if (code ~ banned)
		complain(FILENAME, FNR, "calls what is banned: " $0)
	if (code ~ /(^|[ \t;{}])\/\//)
		complain(FILENAME, FNR, "comments are /* */")
	# Errors of Lua leave by longjmp, which passes over cleanups.
	if (FILENAME ~ /^lua\// && code ~ /CLEANUP\(/)
		complain(FILENAME, FNR, "CLEANUP does not survive a Lua error")
	if ($0 ~ /^\{$/)
		body = FNR
	else if ($0 ~ /^\}/ && body) {
		if (FNR - body - 1 > max_function)
			complain(FILENAME, body, "a function of more than " \
				max_function " lines")
		body = 0
	}
}

FNR == 1 {
	end_file()
	file = FILENAME
	is_test = file ~ /\.t$/
	spdx = in_comment = body = 0
	is_c = file ~ /\.[ch]$/
	is_narrow = file ~ /\.([ch]|lua)$/
}

{
	lines = FNR
}

FNR <= 3 && /SPDX-License-Identifier: Apache-2\.0/ {
	spdx = 1
}

# An address cannot be broken.
$0 ~ /^[ \t]*(\/\*|\*|--) https?:[^ ]+( \*\/)?$/ {
	next
}

is_narrow && columns($0) > max_columns {
	complain(FILENAME, FNR, "wider than " max_columns " columns")
}

$0 ~ later {
	complain(FILENAME, FNR, "work left for later")
}

# `set -e` looks at no command behind a !, so in a check it checks nothing.
is_test && /(^|&&|\|\||[;{]|[ \t]do)[ \t]*! / {
	complain(FILENAME, FNR, "what must fail is refuted (t/lib.sh): ! " \
		"checks nothing")
}

/[ \t]$/ {
	complain(FILENAME, FNR, "blanks at the end")
}

is_c {
	check_c()
}

END {
	end_file()
	exit bad
}
