#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a script, an endpoint or a name says commands no terminal, and forges no
# line of a log.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'what others say is shown, not obeyed'
requires jq

esc=$(printf '\033')
fake_manifest 'vms: "1"'
cat >hook.lua <<'EOT'
log("\27[31mred\7\nforged line")
fail("\27]0;title\7 no \27[2Jway\r\nforged line")
EOT
sed -i 's/lua: .log("here").}/file: hook.lua}/' m.yaml
palletjack --color never run m.yaml >out 2>err
log=$PALLETJACK_STATE/t/p/vm-00001/log/run.log

check 'the hook failed, and its words are there' '
	cat err "$log"; grep -q ".]0;title. no .\[2Jway" err && grep -q ".\[31mred" "$log"
'
check 'no escape sequence on the terminal' '! grep "$esc" out err'
check 'none in the log, and no line that is not ours' '
	refute grep "$esc" "$log" && refute grep "^forged" "$log" err
'
check 'none in what is asked later' '
	palletjack status m.yaml >said; palletjack plan m.yaml >>said
	cat said; refute grep "$esc" said
'
check 'a name, too' '
	fake_manifest "vms: \"1\"" "{}" "\"vm-\\e[31m00001\""
	exits 3 palletjack --color never run m.yaml 2>err; cat err
	grep -q "vm-?\[31m00001" err && refute grep "$esc" err
'
test_end
