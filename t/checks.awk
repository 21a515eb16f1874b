# SPDX-License-Identifier: Apache-2.0
# What checks (t/lib.sh) do not hear of: awk -f t/checks.awk TEST...  They run
# under `set -e`, which looks at no command before an &&: when `a && b` is not
# the last thing of a check, nobody hears that `a` failed.  Prints such lists;
# exits 1 if there are any.  They are to be two statements, or to end with
# `|| exit 1`.  What is in parentheses, branches and groups is not looked at, nor
# what a function does.

function complain() {
	printf "%s:%d: nobody hears when this fails: %s\n", FILENAME, began, said
	bad = 1
}

# The parts of a statement; what only they could tell waits for what follows.
function judge(text, parts, n, i, opened) {
	gsub(/\\./, "", text)
	gsub(/'"[^']*"'|'\$[a-z_]*'/, "", text)
	gsub(/"[^"]*"/, "", text)
	while (sub(/\([^()]*\)/, "", text))
		continue
	n = text ~ /;;/ ? 0 : split(text, parts, /;/)
	for (i = 1; i <= n; i++) {
		if (parts[i] ~ /^[ \t]*$/)
			continue
		if (waits && parts[i] !~ /^[ \t]*[a-z]+=\$\?/)
			complain()
		opened = gsub(/[({]/, "&", parts[i]) - gsub(/[)}]/, "&", parts[i])
		waits = parts[i] ~ /&&/ && parts[i] !~ /\|\|/ && !opened &&
			parts[i] !~ /^[ \t]*(if|elif|while|until)[ \t]/ &&
			parts[i] !~ /&&[ \t]*(exit|break|return|continue)([ \t]|$)/ &&
			parts[i] !~ /[^&]&[ \t]*$/
		began = first
		said = parts[i]
		sub(/^[ \t]*(do|then|else)?[ \t]*/, "", said)
	}
}

function quotes(text) {
	gsub(/\\./, "", text)
	return gsub(/"/, "", text)
}

FNR == 1 {
	in_check = waits = 0
	statement = ""
}

!in_check && /^[ \t]*check(_exit|_fail)?[ \t].*[ \t]'$/ {
	in_check = 1
	next
}

!in_check {
	next
}

# the end, in a line of its own or behind the last command
/^[ \t]*'/ || (/'$/ && gsub(/'/, "&") % 2) {
	if ($0 !~ /^[ \t]*'/ && statement == "")
		judge($0)
	in_check = waits = 0
	statement = ""
	next
}

# in a loop only the last round would tell
/^[ \t]*done/ && waits && statement == "" {
	complain()
	waits = 0
}

/^[ \t]*(fi|else|elif|esac|[})])/ && statement == "" {
	waits = 0
}

{
	if (statement == "")
		first = FNR
	statement = statement $0
	if ($0 ~ /(&&|\||\\)$/ || quotes(statement) % 2) {
		sub(/\\$/, "", statement)
		next
	}
	judge(statement)
	statement = ""
}

END {
	exit bad
}
