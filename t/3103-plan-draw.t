#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# plan as a drawing and as Markdown, byte for byte; times and the digest, which
# no two runs share, are left out.
. "${0%/*}/lib.sh"
. "${0%/*}/fake.sh"
test_begin 'plan draws the schedule'

drawn() {
	palletjack plan m.yaml -o "$1" |
		sed -E 's/[0-9a-f]{16}/DIGEST/; s/20[0-9-]+ [0-9:]{5}/TIME/'
}

fake_manifest 'vms: "2", disksPerVM: "2"' '{verify: none}' vm-00001 vm-00003
palletjack run --until pre-hook --vm vm-00001 m.yaml 2>/dev/null

fake_manifest 'vms: "1", diskSize: 1Mi' '{}' vm-00001 vm-00003
palletjack run --until cutover --vm vm-00001 m.yaml 2>/dev/null
sed -i 's/1Mi/2Mi/' m.yaml

cat >want <<'EOF'
digraph "t/p" {
	rankdir=LR;
	label="digest: DIGEST";
	node [shape=box, style=filled];
	subgraph cluster_0 {
		label="vm-00001: kept back";
		v0s0 [label="validate\nchanged", fillcolor="#ffd699"];
		v0s1 [label="pre-hook\nskip", fillcolor="#d3d3d3"];
		v0s0 -> v0s1;
		v0s2 [label="cutover\nchanged", fillcolor="#ffd699"];
		v0s1 -> v0s2;
		v0s3 [label="cutover/disk-0\nneeds accept", fillcolor="#ff9999"];
		v0s2 -> v0s3;
		v0s4 [label="verify/disk-0\nblocked", fillcolor="#ffcccc"];
		v0s3 -> v0s4;
		v0s5 [label="convert\nblocked", fillcolor="#ffcccc"];
		v0s4 -> v0s5;
		v0s6 [label="commit\nblocked", fillcolor="#ffcccc"];
		v0s5 -> v0s6;
		v0s7 [label="create-vm\nblocked", fillcolor="#ffcccc"];
		v0s6 -> v0s7;
		v0s8 [label="start\nblocked", fillcolor="#ffcccc"];
		v0s7 -> v0s8;
		v0s9 [label="post-hook\nblocked", fillcolor="#ffcccc"];
		v0s8 -> v0s9;
		v0s10 [label="cleanup\nblocked", fillcolor="#ffcccc"];
		v0s9 -> v0s10;
	}
	v1 [label="vm-00003: kept back", fillcolor="#ffffff"];
}
EOF
check 'for Graphviz' 'drawn dot >got; cmp_ok want got'

cat >want <<'EOF'
---
title: "t/p, digest DIGEST"
---
flowchart LR
  subgraph v0["vm-00001: kept back"]
    v0s0["validate<br/>changed"]:::look3
    v0s1["pre-hook<br/>skip"]:::look0
    v0s0 --> v0s1
    v0s2["cutover<br/>changed"]:::look3
    v0s1 --> v0s2
    v0s3["cutover/disk-0<br/>needs accept"]:::look6
    v0s2 --> v0s3
    v0s4["verify/disk-0<br/>blocked"]:::look7
    v0s3 --> v0s4
    v0s5["convert<br/>blocked"]:::look7
    v0s4 --> v0s5
    v0s6["commit<br/>blocked"]:::look7
    v0s5 --> v0s6
    v0s7["create-vm<br/>blocked"]:::look7
    v0s6 --> v0s7
    v0s8["start<br/>blocked"]:::look7
    v0s7 --> v0s8
    v0s9["post-hook<br/>blocked"]:::look7
    v0s8 --> v0s9
    v0s10["cleanup<br/>blocked"]:::look7
    v0s9 --> v0s10
  end
  v1["vm-00003: kept back"]
  classDef look0 fill:#d3d3d3,color:#000000
  classDef look1 fill:#ffffff,color:#000000
  classDef look2 fill:#fff2b3,color:#000000
  classDef look3 fill:#ffd699,color:#000000
  classDef look4 fill:#ffd699,color:#000000
  classDef look5 fill:#ff9999,color:#000000
  classDef look6 fill:#ff9999,color:#000000
  classDef look7 fill:#ffcccc,color:#000000
EOF
check 'for Mermaid' 'drawn mermaid >got; cmp_ok want got'

cat >want <<'EOF'
## Plan t/p

From source to target; digest `DIGEST`.

### vm-00001: kept back

> cutover/disk-0 would copy again what is copied already (changed: source disk disk-0); if that is meant: --accept DIGEST

| step | what a run does |
|---|---|
| validate | run (changed: source disk disk-0) |
| pre-hook | skip (done TIME) |
| cutover | run (changed: source disk disk-0) |
| cutover/disk-0 | run (changed: source disk disk-0); wants --accept |
| verify/disk-0 | blocked by cutover/disk-0 |
| convert | blocked by cutover/disk-0 |
| commit | blocked by cutover/disk-0 |
| create-vm | blocked by cutover/disk-0 |
| start | blocked by cutover/disk-0 |
| post-hook | blocked by cutover/disk-0 |
| cleanup | blocked by cutover/disk-0 |

### vm-00003: kept back

> VMNotFound: the source has no vm with the name 'vm-00003', did you mean 'vm-00001'?

### Findings

- **Critical** VMNotFound: vm-00003: the source has no vm with the name 'vm-00003', did you mean 'vm-00001'?
EOF
check 'as Markdown' 'drawn markdown >got; cmp_ok want got'

check 'names that mean something to the language are quoted' '
	sed -i "s/^    - name: vm-00003/    - name: \"a\\\\\"b|c<d>#\\\\\\\\e\"/" m.yaml &&
	palletjack plan m.yaml -o dot 2>&1 | grep -F "v1 [label=\"a\\\"b|c<d>#\\\\e: " &&
	palletjack plan m.yaml -o mermaid 2>&1 |
		grep -F "v1[\"a#quot;b|c#lt;d#gt;#35;" &&
	palletjack plan m.yaml -o markdown 2>&1 | grep -F "### a\"b\\|c&lt;d>#"
'
check_exit 2 'another form is refused, with those that there are' '
	palletjack plan m.yaml -o png
'

rm -rf "$PALLETJACK_STATE"
fake_manifest 'vms: "4"' \
	'{waves: [{name: two, vms: [vm-00001, vm-00002], after: [one], atomic: true, gate: manual}, {name: one, vms: [vm-00003]}]}' \
	vm-00001 vm-00002 vm-00003 vm-00004
# the steps of a vm left out
cat >want <<'EOF'
	compound=true;
	subgraph cluster_3 {
		label="vm-00004: ready";
	}
	subgraph cluster_w0 {
		label="wave 'two' (after 'one', atomic, gate: manual)";
	subgraph cluster_0 {
		label="vm-00001: ready";
	}
	subgraph cluster_1 {
		label="vm-00002: ready";
	}
	}
	subgraph cluster_w1 {
		label="wave 'one'";
	subgraph cluster_2 {
		label="vm-00003: ready";
	}
	}
	v2sN -> v0s0 [ltail=cluster_w1, lhead=cluster_w0];
EOF
check 'waves for Graphviz' '
	drawn dot | sed -n "/compound/,\$p" |
		grep -E "compound|subgraph|label=\"|	}|ltail" | grep -v "\[label" |
		sed -E "s/^(	v2s)[0-9]+ -> (.*ltail)/\1N -> \2/" >got
	cmp_ok want got
'
cat >want <<'EOF'
  subgraph v3["vm-00004: ready"]
  end
  subgraph w0["wave 'two' (after 'one', atomic, gate: manual)"]
  subgraph v0["vm-00001: ready"]
  end
  subgraph v1["vm-00002: ready"]
  end
  end
  subgraph w1["wave 'one'"]
  subgraph v2["vm-00003: ready"]
  end
  end
  w1 --> w0
EOF
check 'for Mermaid' '
	drawn mermaid | grep -E "^  (subgraph|end|w)" >got; cmp_ok want got
'
cat >want <<'EOF'
### vm-00004: ready
### wave 'two' (after 'one', atomic, gate: manual)
#### vm-00001: ready
#### vm-00002: ready
### wave 'one'
#### vm-00003: ready
EOF
check 'and for Markdown' 'drawn markdown | grep "^###" >got; cmp_ok want got'
check 'a wave that --vm leaves out is not drawn' '
	palletjack plan m.yaml --vm vm-00001 -o mermaid >got; cat got
	grep -q "subgraph w0" got && refute grep -q w1 got
'
test_end
