# SPDX-License-Identifier: Apache-2.0
# Who may include whom: awk -f t/layers.awk FILE..., run from the top of the
# tree.  Prints every include the tables do not allow; exits 1 if there was one.

function may(room, rooms) {
	allowed[room] = rooms
}

function home(header, files) {
	homes[header] = files
}

BEGIN {
	base = " runner/base"
	io = base " runner/io"
	data = base " manifests"
	may("runner/base", base)
	may("runner/io", io)
	may("manifests", data)
	may("lua", data " lua")
	may("stages/copy", io " stages/copy")
	may("stages/source", io " manifests stages/copy stages/source")
	may("stages/target", io " manifests stages/copy stages/target")
	may("stages", io " manifests lua stages/copy stages/source" \
		" stages/target stages")
	# An endpoint is seen only through stages/stage.h, by its room's name.
	may("runner", io " manifests lua stages runner")

	home("^yaml\\.h$", "^manifests/")
	home("^curl/", "^runner/io/http\\.c$")
	home("^libxml/", "^runner/io/xml\\.c$")
	home("^libvirt/", "^runner/io/libvirt_calls\\.h$")
	home("^dlfcn\\.h$", "^runner/io/libvirt_calls\\.c$")
	home("^libnbd\\.h$", "^(runner/io/nbd\\.c$|stages/copy/)")
	home("^openssl/", "^(manifests/digest\\.c$|runner/io/|stages/copy/)")
	home("^(lua|lauxlib|lualib|luaconf)\\.h$", "^lua/")
	home("^(xxhash|xxh_x86dispatch)\\.h$", "^stages/copy/")
	home("^jansson\\.h$", ".")
	home("^(sys|linux|arpa|net|netinet)/", ".")
	libc = "assert byteswap ctype dirent endian errno fcntl fnmatch getopt" \
		" glob grp ifaddrs inttypes libgen limits locale malloc math" \
		" mntent netdb paths poll pthread pwd regex sched setjmp" \
		" signal spawn stdalign stdarg stdatomic stdbool stddef stdint stdio" \
		" stdlib string strings syslog termios time unistd wchar"
	gsub(/ /, "|", libc)
	home("^(" libc ")\\.h$", ".")
}

function room_of(path) {
	if (!sub(/\/[^\/]*$/, "", path))
		return "."
	return path
}

# Includes are written from the top or from runner/; a bare name is a
# neighbour's.
function resolve(name) {
	if (name !~ /\//)
		return room_of(FILENAME) "/" name
	if (name ~ /^(base|io)\//)
		return "runner/" name
	return name
}

function refuse(name, why) {
	printf "%s:%d: may not include %s: %s\n", FILENAME, FNR, name, why
	refused = 1
}

function check_own(name, path, from, to) {
	path = resolve(name)
	from = room_of(FILENAME)
	to = room_of(path)
	if (FILENAME ~ /^runner\/command_(copy|verify)\.c$/ &&
	    to == "stages/copy")
		return
	if (!(from in allowed))
		refuse(name, "there is no room '" from "'")
	else if (index(allowed[from] " ", " " to " ") == 0)
		refuse(name, from " may not use " to)
	else if (from == "runner" && to == "stages" &&
		 path != "stages/stage.h")
		refuse(name, "runner sees endpoints through stages/stage.h")
}

function check_foreign(name, header) {
	for (header in homes) {
		if (name !~ header)
			continue
		if (FILENAME !~ homes[header])
			refuse(name, "its home is " homes[header])
		return
	}
	refuse(name, "no library of ours has it")
}

FILENAME !~ /^t\// && /^[ \t]*#[ \t]*include/ {
	name = $0
	sub(/^[ \t]*#[ \t]*include[ \t]*/, "", name)
	quote = substr(name, 1, 1)
	sub(/^["<]/, "", name)
	sub(/[">].*/, "", name)
	if (quote == "\"")
		check_own(name)
	else
		check_foreign(name)
}

END {
	exit refused
}
