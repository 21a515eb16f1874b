/* SPDX-License-Identifier: Apache-2.0 */
/* What we know and do not do is an Error, unless it changes nothing or is
 * waived. */
#include "t/unit/manifest.h"

#include <unistd.h>

#define VM "  vms: [{name: web}]\n"
#define POLICY(spec)                                                 \
	"---\napiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n" \
	"metadata: {name: default}\nspec: " spec "\n"
#define MIGRATION(spec)                                                    \
	"---\napiVersion: forklift.konveyor.io/v1beta1\nkind: Migration\n" \
	"metadata: {generateName: m-}\nspec: " spec "\n"
#define HOOK                                                          \
	"---\napiVersion: forklift.konveyor.io/v1beta1\nkind: Hook\n" \
	"metadata: {name: h}\nspec: {image: x}\n"
#define HOOKED(kind)                                                         \
	"  vms:\n  - name: web\n    hooks: [{step: PreHook, hook: {" kind    \
	"name: h}}]\n  - name: db\n    hooks: [{step: PreHook, hook: {" kind \
	"name: h}}]\n"

/* What stands behind the plan's head; want "": nothing is said. */
static const struct {
	const char *text, *want;
} cases[] = {
    /* a field of the plan, and the same waived */
    {VM "  transferNetwork: {name: fast}\n",
     "Error NotHonoured m.yaml:33:20: Plan default/web: spec.transferNetwork "
     "is not honoured yet: traffic takes the host's routes. Remove it, or "
     "accept running without it: add spec.transferNetwork to spec.waive of "
     "the RunPolicy.\n"},
    {VM "  transferNetwork: {name: fast}\n" POLICY(
	 "{waive: [spec.transferNetwork]}"),
     ""},
    {VM "  transferNetwork: {name: fast}\n" POLICY("{waive: [spec.diskBus]}"),
     "Error NotHonoured"},
    {VM "  transferNetwork: {}\n", ""},
    {VM "  customizationScripts: {name: x}\n", "Error NotHonoured"},
    {VM "  virtV2vImage: x\n", "spec.virtV2vImage (x) is not honoured yet"},
    {VM "  xfsCompatibility: true\n", "Error NotHonoured"},
    {VM "  xfsCompatibility: false\n", ""},
    {VM "  installLegacyDrivers: true\n", "Error NotHonoured"},
    {VM "  installLegacyDrivers: false\n", ""},
    {VM "  enableNestedVirtualization: true\n", "Error NotHonoured"},
    /* what is nothing to ova, disk and local */
    {VM "  preserveStaticIPs: true\n  preserveClusterCpuModel: true\n"
	"  migrateSharedDisks: false\n  runPreflightInspection: true\n"
	"  deleteVmOnFailMigration: true\n  rdmAsLun: true\n"
	"  scsiReservation: true\n  tagMapping: {disabled: true}\n"
	"  skipZoneNodeSelector: true\n  diskBus: x\n"
	"  serviceAccount: x\n  targetLabels: {a: b}\n"
	"  targetNodeSelector: {a: b}\n  targetAffinity: {a: [1]}\n"
	"  convertorLabels: {a: b}\n  convertorAffinity: {a: 1}\n"
	"  pvcNameTemplate: x\n  volumeNameTemplate: x\n"
	"  networkNameTemplate: x\n  pvcNameTemplateUseGenerateName: true\n"
	"  conversionTempStorageClass: x\n  conversionTempStorageSize: 1Gi\n"
	"  deleteGuestConversionPod: true\n  convertorNodeSelector: {a: b}\n",
     ""},
    {VM "  skipGuestConversion: true\n  useCompatibilityMode: false\n"
	"  targetPowerState: off\n  description: x\n",
     ""},
    /* fields of vms */
    {"  vms: [{name: a}, {name: web, luks: {name: x}}]\n",
     "Error NotHonoured m.yaml:32:38: Plan default/web: vm web: "
     "spec.vms[1].luks is not honoured yet: conversion is given no keys. "
     "Remove it, or accept running without it: add spec.vms[].luks to "
     "spec.waive of the RunPolicy.\n"},
    {"  vms: [{name: web, luks: {name: x}}]\n" POLICY(
	 "{waive: ['spec.vms[].luks']}"),
     ""},
    {"  vms: [{name: web, luks: {name: x}}]\n" POLICY("{waive: [spec.vms]}"),
     ""},
    {"  vms: [{name: web, instanceType: x}]\n", "Error NotHonoured"},
    {"  vms: [{name: web, nbdeClevis: true}]\n", "Error NotHonoured"},
    {"  vms: [{name: web, nbdeClevis: false}]\n", ""},
    /* types of plans */
    {VM "  type: cold\n", ""},
    {VM "  type: ''\n", ""},
    {VM "  type: warm\n", "Error NotHonoured m.yaml:33:9: Plan default/web: "
			  "spec.type (warm) is not honoured yet: cold plans "
			  "are carried out, and warm ones from libvirt and "
			  "fake.\n"},
    {VM "  type: live\n", "spec.type (live)"},
    {VM "  type: conversion\n" POLICY("{waive: [spec.type]}"),
     "spec.type (conversion)"},
    {VM "  warm: true\n  type: cold\n",
     "spec.warm (true) is not honoured yet. Remove it"},
    {VM "  warm: false\n", ""},
    {VM "  type: live\n  archived: true\n", ""},
    /* hooks */
    {HOOKED("") HOOK,
     "Error NotHonoured m.yaml:34:35: Plan default/web: spec.vms[].hooks uses "
     "Hook 'default/h', and a Hook is not carried out yet. Use a Script "
     "(kind: Script), or accept running without it: add spec.vms[].hooks to "
     "spec.waive of the RunPolicy.\n"},
    {HOOKED("") HOOK POLICY("{waive: ['spec.vms[].hooks']}"), ""},
    {HOOKED("") "---\napiVersion: palletjack.io/v1alpha1\nkind: Script\n"
		"metadata: {name: h}\nspec: {lua: x}\n",
     "there is a Script of that name: add kind: Script"},
    {HOOKED("kind: Script, ") "---\napiVersion: palletjack.io/v1alpha1\nkind: "
			      "Script\n"
			      "metadata: {name: h}\nspec: {lua: x}\n",
     ""},
    /* run policies */
    {VM POLICY("{limits: {inFlight: 1, disksPerHost: 2, conversions: 3}, "
	       "retry: {attempts: 1, first: 1s, factor: 1.5, max: 1m}, "
	       "deadlines: {run: 1h, vm: 1h, stage: {cutover: 1h}, hook: 1h, "
	       "shutdown: 1m, conversion: 1h, bootTest: 1h, wait: 1h}, "
	       "proof: xxh3, checkpoint: {every: 1s, bytes: 1Mi}, "
	       "verify: changed, bootTest: every-generation, "
	       "bootProbe: {serial: login, inconclusive: pass}, "
	       "onFailure: hold, precopy: {interval: 1m, maxSnapshots: 2}, "
	       "cutover: {hardPowerOff: always}}"),
     ""},
    {VM POLICY("{limits: {bandwidth: 10M, bandwidthPerEndpoint: 5M, "
	       "priority: low, bandwidthByTime: [{from: '08:00', to: '18:00', "
	       "days: [mon], bandwidth: 1M}]}}"),
     ""},
    {VM POLICY("{limits: {perEndpoint: 2}}"), ""},
    {VM POLICY("{limits: {perEndpoint: null, bandwidthByTime: []}}"), ""},
    {VM POLICY("{retry: {total: 2h}}"), ""},
    {VM POLICY("{deadlines: {stage: {precopy: 1h}}}"), ""},
    {VM POLICY("{deadlines: {stage: {copy: 1h}}}"), "did you mean 'cutover'?"},
    {VM POLICY("{verify: sample}"), ""},
    {VM POLICY("{verify: sample, verifySample: '99.9%:20'}"), ""},
    {VM POLICY("{verify: sample, verifySample: '0.1'}"),
     "spec.verifySample a sample is a share such as 10%"},
    {VM POLICY("{onFailure: rollback}"), ""},
    {VM POLICY("{cutover: {maxDowntime: 5m}}"), ""},
    {VM POLICY("{cutover: {window: [{days: [sat], from: '22:00', to: '04:00', "
	       "timeZone: UTC}]}}"),
     ""},
    {VM POLICY("{cutover: {window: [{from: x}]}}"), "spec.cutover.window[0]"},
    {VM POLICY("{cutover: {backoutBy: 5m}}"), ""},
    {VM POLICY("{cutover: {gate: manual}}"), ""},
    {VM POLICY("{cutover: {gate: none, fence: none}}"), ""},
    {VM POLICY("{cutover: {fence: rename, hardPowerOff: fallback}}"), ""},
    {VM POLICY("{cutover: {fence: x}}"),
     "spec.cutover.fence must be one of none, rename, disconnect-nics"},
    {VM POLICY("{bootProbe: {agent: true}}"), ""},
    {VM POLICY("{bootProbe: {script: x}}"),
     "spec.bootProbe.script names Script 'default/x', which is not in the "
     "manifest"},
    {VM POLICY("{waves: [{name: a, vms: [web]}]}"), ""},
    {VM POLICY("{waves: [{name: a, vms: [web]}, {name: b, vms: [], after: "
	       "[a], atomic: true, maxFailures: 0, gate: manual}]}"),
     ""},
    {VM POLICY("{waves: [{name: a, vms: [web, bew]}]}"),
     "Error WaveNotValid m.yaml:37:16: RunPolicy default/default: "
     "spec.waves[0] names vm 'bew', which is in no plan that uses this"},
    {VM POLICY("{waves: [{name: a, vms: [web]}, {name: b, vms: [web]}]}"),
     "names vm 'web' of Plan default/web, which is in wave 'a', too"},
    {VM POLICY("{waves: [{name: a, vms: [web, web]}]}"),
     "names vm 'web' of Plan default/web twice"},
    {VM POLICY("{waves: [{name: a, vms: [web]}, {name: a, vms: []}]}"),
     "spec.waves[1] has the name of an earlier wave"},
    {VM POLICY("{waves: [{name: a, vms: [web], after: [b]}]}"),
     "spec.waves[0] is after 'b', which is no wave"},
    {VM POLICY("{waves: [{name: a, vms: [web], after: [a]}]}"),
     "spec.waves[0] waits for itself"},
    {VM POLICY("{waves: [{name: a, vms: [web], after: [b]}, {name: b, vms: "
	       "[], after: [c]}, {name: c, vms: [], after: [a]}]}"),
     "waits for itself: its `after` leads back to it"},
    {VM POLICY("{waves: [{name: a, vms: [web], maxFailures: -1}]}"),
     "spec.waves[0].maxFailures"},
    {VM POLICY("{hooks: [{before: copy, script: x}]}"), "spec.hooks is not"},
    {VM POLICY("{rules: [x]}"), "spec.rules is not honoured yet"},
    {VM POLICY("{silence: [{id: X, reason: why}]}"), "spec.silence is not"},
    {VM POLICY("{transform: x}"), "spec.transform (x) is not honoured yet"},
    /* migrations */
    {VM MIGRATION("{plan: {name: web}}"), ""},
    {VM MIGRATION("{plan: {name: web}, resumeConversion: true}"), ""},
    {VM MIGRATION("{plan: {name: web}, cancel: [{name: web}]}"), ""},
    {VM MIGRATION("{plan: {name: web}, cancel: []}"), ""},
    {VM MIGRATION("{plan: {name: web}, cutover: '2020-01-01T00:00:00Z'}"), ""},
    {VM MIGRATION("{plan: {name: web}, cutover: 2920-01-01T00:00:00+01:00}"),
     ""},
    {VM MIGRATION("{plan: {name: web}, vmCutover: "
		  "[{id: a, cutover: '2020-01-01T00:00:00Z'}]}"),
     ""},
    {VM MIGRATION("{plan: {name: web}, vmCutover: "
		  "[{id: a, cutover: '2920-01-01T00:00:00Z'}]}"),
     ""},
};

static void
test_cases(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		CLEANUP(buf_done) struct buf text = {0};
		CLEANUP(reading_done) struct reading r;
		CLEANUP(mem_freep) char *name = mem_strdup(cases[i].text);

		for (char *c = name; *c; c++)
			*c = *c == '\n' ? ' ' : *c;
		buf_adds(&text, PLAN_HEAD);
		buf_adds(&text, cases[i].text);
		read_text(&r, text.data, false);
		if (cases[i].want[0] && r.findings.n > 0)
			like(r.text.data, cases[i].want, name);
		else
			is_str(r.text.data, cases[i].want, name);
	}
}

/* The same plan to a cluster from a vCenter: what was nothing matters now. */
static void
test_elsewhere(void)
{
	CLEANUP(reading_done) struct reading r;

	read_text(
	    &r,
	    "apiVersion: forklift.konveyor.io/v1beta1\nkind: Provider\n"
	    "metadata: {name: vc}\n"
	    "spec: {type: vsphere, url: x, secret: {name: s}}\n---\n"
	    "apiVersion: forklift.konveyor.io/v1beta1\nkind: Provider\n"
	    "metadata: {name: host}\n"
	    "spec: {type: openshift, secret: {}}\n---\n" SURROUNDINGS
	    "apiVersion: forklift.konveyor.io/v1beta1\nkind: Plan\n"
	    "metadata: {name: web}\nspec:\n"
	    "  provider: {source: {name: vc}, destination: {name: host}}\n"
	    "  map: {network: {name: net}, storage: {name: sto}}\n"
	    "  targetNamespace: demo\n  rdmAsLun: true\n"
	    "  targetLabels: {a: b}\n  vms: [{name: web}]\n",
	    false);
	like(r.text.data,
	     "Error SourceProviderNotValid m.yaml:39:22: Plan default/web: "
	     "spec.provider.source is of type vsphere, which this build cannot "
	     "read yet",
	     "a source for later");
	like(r.text.data, "spec.provider.destination is of type openshift",
	     "a target for later");
	like(r.text.data, "spec.preserveStaticIPs (true) is not honoured yet",
	     "a default that matters");
	like(r.text.data, "spec.migrateSharedDisks (true)", "another");
	like(r.text.data, "spec.rdmAsLun (true)", "what vSphere knows");
	like(r.text.data, "spec.targetLabels is not honoured", "labels");
	ok(!strstr(r.text.data, "runPreflight"), "nothing about warm plans");
}

static void
test_waived_model(void)
{
	CLEANUP(reading_done) struct reading r = {0}, w = {0};

	read_text(&r,
		  PLAN_HEAD HOOKED("")
		      HOOK POLICY("{waive: ['spec.vms[].hooks']}"),
		  false);
	is_int((long long)r.m->plans[0]->vms[0].nhooks, 0,
	       "waived hooks are taken out");
	read_text(&w,
		  PLAN_HEAD VM "  warm: true\n" POLICY("{waive: [spec.warm]}"),
		  false);
	is_str(w.text.data, "", "warm can be waived");
	is_str(w.m->plans[0]->type, "cold", "and is cold then");
}

/* Two plans with one map: said once, and once more where it is not waived. */
static void
test_shared(void)
{
	CLEANUP(reading_done) struct reading r;
	const char *at;
	int n = 0;

	read_text(&r,
		  SURROUNDINGS
		  "apiVersion: forklift.konveyor.io/v1beta1\n"
		  "kind: NetworkMap\nmetadata: {name: vlans}\nspec:\n"
		  "  provider: {source: {name: src}, destination: {name: "
		  "dst}}\n"
		  "  map:\n"
		  "  - source: {name: a, vlan: '7'}\n"
		  "    destination: {type: pod}\n---\n"
		  "apiVersion: v1\nkind: List\nitems:\n"
		  "- &plan\n"
		  "  apiVersion: forklift.konveyor.io/v1beta1\n"
		  "  kind: Plan\n"
		  "  metadata: {name: a, annotations: "
		  "{palletjack.io/run-policy: lax}}\n"
		  "  spec: &spec\n"
		  "    provider: {source: {name: src}, destination: {name: "
		  "dst}}\n"
		  "    map: {network: {name: vlans}, storage: {name: sto}}\n"
		  "    targetNamespace: demo\n    vms: [{name: web}]\n"
		  "- {<<: *plan, metadata: {name: b}}\n"
		  "- {<<: *plan, metadata: {name: c}}\n"
		  "---\napiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
		  "metadata: {name: lax}\n"
		  "spec: {waive: ['spec.map[].source.vlan']}\n",
		  false);
	for (at = r.text.data; (at = strstr(at, "NotHonoured")); at++)
		n++;
	is_int(n, 1, "said once");
	like(r.text.data,
	     "NetworkMap default/vlans: spec.map[0].source.vlan (7) is not "
	     "honoured yet: rows are told apart by network only.",
	     "although the first plan waives it");
	is_int((long long)r.m->nplans, 3, "merge keys make whole documents");
}

int
main(void)
{
	if (chdir(tap_dir()) < 0)
		return 1;
	test_cases();
	test_elsewhere();
	test_waived_model();
	test_shared();
	return tap_done();
}
