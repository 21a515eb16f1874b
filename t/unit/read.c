/* SPDX-License-Identifier: Apache-2.0 */
/* Reading manifests: a whole plan into the model, and what is said about the
 * ones that are wrong. */
#include "t/unit/manifest.h"

#include <unistd.h>

static void
test_plan(void)
{
	CLEANUP(reading_done) struct reading r;
	const struct plan *p = NULL;

	read_text(&r, PLAN_HEAD "  vms: [{name: web, targetName: www}]\n",
		  false);
	is_int(r.failed, 0, "it is read");
	is_str(r.text.data, "", "without findings");
	is_int(manifest_plan(r.m, NULL, &p, &r.err), 0, "it holds one plan");
	is_str(p->source->type, "disk", "its source");
	like(p->source->path, "/images", "the source's path");
	is_str(p->target->path, "/srv/vms", "the target's path");
	is_int((long long)p->nvms, 1, "its vms");
	is_str(p->vms[0].key, "web", "the vm's key");
	is_str(p->vms[0].target_name, "www", "the vm's target name");
	is_int(p->vms[0].pos.line, 32, "the vm's line");
	is_str(p->type, "cold", "its type");
	ok(p->use_compatibility_mode, "a default that is true");
	ok(p->policy && !p->policy->o.name, "the built-in policy");
	is_int(p->policy->limits.in_flight, 20, "of 20 vms at once");
	is_int(p->policy->retry.first_ms, 5000, "first retry after 5s");
	ok(json_is_true(json_object_get(p->o.spec, "deleteVmOnFailMigration")),
	   "scripts see defaults");
	ok(plan_vm_find(p, "web") == &p->vms[0], "a vm by its key");
	ok(!plan_vm_find(p, "db"), "no vm by another");
}

/* What stands behind the plan's head, and what is said about it. */
static const struct {
	const char *text, *want;
} plans[] = {
    {"  vms: [{name: web, targetNme: www}]\n",
     "Warn FieldUnknown m.yaml:32:21: Plan default/web: spec.vms[0].targetNme "
     "is not a field of Plan; did you mean 'targetName'?\n"},
    {"  vms: [{name: web}]\n  zzz: 1\n",
     "Warn FieldUnknown m.yaml:33:3: Plan default/web: spec.zzz is not a field "
     "of Plan\n"},
    {"  vms: [{name: 123}]\n",
     "Error FieldNotValid m.yaml:32:16: Plan default/web: spec.vms[0].name "
     "must be a string, but 123 without quotes is a number; quote it: "
     "\"123\"\n"},
    {"  vms: [{name: web, targetName: no}]\n",
     "Critical NotValid m.yaml:32:33: Plan default/web: "
     "spec.vms[0].targetName must be a string, but no without quotes is a "
     "boolean; quote it: \"no\"\n"},
    {"  vms: [{name: web, targetPowerState: on}]\n", ""},
    {"  vms: [{name: web, targetPowerState: yes}]\n",
     "Error FieldNotValid m.yaml:32:39: Plan default/web: "
     "spec.vms[0].targetPowerState must be one of auto, on, off\n"},
    {"  vms: [{name: web, targetPowerState: Auto}]\n",
     "must be one of auto, on, off; did you mean 'auto'?\n"},
    {"  vms: [{name: web}]\n  archived: no\n", ""},
    {"  vms: [{name: web}]\n  archived: \"no\"\n",
     "Error FieldNotValid m.yaml:33:13: Plan default/web: spec.archived must "
     "be true or false; it is 'no'\n"},
    {"  vms: {name: web}\n",
     "Error FieldNotValid m.yaml:32:8: Plan default/web: spec.vms must be a "
     "list, not a map\n"},
    {"  vms: [web]\n",
     "Error FieldNotValid m.yaml:32:9: Plan default/web: spec.vms[0] must be "
     "a map; it is 'web'\n"},
    {"  vms: [~]\n",
     "Error FieldNotValid m.yaml:32:9: Plan default/web: spec.vms[0] must be "
     "a map, not empty\n"},
    {"  description: x\n",
     "Error FieldMissing m.yaml:29:3: Plan default/web: spec.vms is missing; "
     "it must be a list\n"},
    {"  vms: []\n", "Warn VMRefNotValid m.yaml:25:1: Plan default/web: "
		    "spec.vms is empty: there is nothing to do\n"},
    {"  vms: [{targetName: www}]\n",
     "Critical VMRefNotValid m.yaml:32:9: Plan default/web: vm vms[0]: "
     "spec.vms[0] names no vm: it needs an id or a name\n"},
    {"  vms: [{id: vm-1}, {id: vm-1, name: web}]\n",
     "Critical DuplicateVM m.yaml:32:21: Plan default/web: vm web: "
     "spec.vms[1] has the id 'vm-1', like spec.vms[0] at line 32; remove one "
     "of them\n"},
    {"  vms:\n  - {name: web}\n  - {name: web, id: vm-1}\n",
     "Critical DuplicateVM m.yaml:34:5: Plan default/web: vm web: spec.vms[1] "
     "has the name 'web', like spec.vms[0] at line 33; names tell vms apart "
     "in our state: remove one, or name them by id only\n"},
    {"  vms: [{name: a, targetName: x}, {name: b, targetName: x}]\n",
     "Critical DuplicateVM m.yaml:32:35: Plan default/web: vm b: spec.vms[1] "
     "has the targetName 'x', like spec.vms[0] at line 32; give them "
     "different ones\n"},
    {"  vms: [{name: web, targetName: Web_1}]\n",
     "Critical NotValid m.yaml:32:33: Plan default/web: "
     "spec.vms[0].targetName is no name for a vm: use lower-case letters"},
    {"  vms: [{name: web, hooks: [{step: Pre, hook: {name: x}}]}]\n",
     "Critical HookStepNotValid m.yaml:32:36: Plan default/web: "
     "spec.vms[0].hooks[0].step must be one of PreHook, PostHook"},
    {"  vms: [{name: web, hooks: [{step: PreHook, hook: {name: x}}]}]\n",
     "Critical HookNotValid m.yaml:32:51: Plan default/web: vm web: "
     "spec.vms[0].hooks[0].hook names Hook 'default/x', which is not in the "
     "manifest\n"},
    {"  vms: [{name: web, hooks: [{step: PreHook}]}]\n",
     "Critical HookNotValid m.yaml:32:29: Plan default/web: "
     "spec.vms[0].hooks[0].hook is missing"},
    {"  vms: [{name: web, hooks: [{step: PreHook, hook: {}}]}]\n",
     "spec.vms[0].hooks must name a Hook, or a Script with kind: Script\n"},
    {"  vms: [{name: web}]\n  type: tepid\n",
     "Error FieldNotValid m.yaml:33:9: Plan default/web: spec.type must be "
     "one of cold, warm, live, conversion\n"},
    {"  vms: [{name: web}]\n  targetLabels: {a: 1}\n",
     "spec.targetLabels.a must be a string, but 1 without quotes is a "
     "number; quote it: \"1\"\n"},
};

static void
test_plans(void)
{
	for (size_t i = 0; i < sizeof(plans) / sizeof(*plans); i++) {
		CLEANUP(buf_done) struct buf text = {0};
		CLEANUP(reading_done) struct reading r;
		CLEANUP(mem_freep)
		char *name =
		    mem_strndup(plans[i].text, strcspn(plans[i].text, "\n"));

		buf_adds(&text, PLAN_HEAD);
		buf_adds(&text, plans[i].text);
		read_text(&r, text.data, false);
		if (plans[i].want[0])
			like(r.text.data, plans[i].want, name);
		else
			is_str(r.text.data, "", name);
	}
}

static void
test_strict(void)
{
	CLEANUP(reading_done) struct reading r;

	read_text(&r, PLAN_HEAD "  vms: [{name: web}]\n  wram: true\n", true);
	like(r.text.data, "Error FieldUnknown", "strict: unknown is an error");
	like(r.text.data, "did you mean 'warm'?", "and names the nearest");
}

/* Whole documents, and what is said about them. */
static const struct {
	const char *text, *want;
} documents[] = {
    {"kind: Plan\n", "Error KindNotValid m.yaml:1:1: this is no Kubernetes "
		     "object: it has no apiVersion\n"},
    {"apiVersion: v1\n", "it has no kind"},
    {"- a\n", "Information KindPassedOver m.yaml:1:1: this is no Kubernetes "
	      "object: it has no apiVersion; it is passed over\n"},
    {"kind: Plan\nspec: {}\n",
     "Error KindNotValid m.yaml:1:1: this is no Kubernetes object: it has no "
     "apiVersion\n"},
    {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n", ""},
    {"apiVersion: v1\nkind: Service\n", ""},
    {"apiVersion: forklift.konveyor.io/v1beta1\nkind: Pln\n",
     "Error KindNotValid m.yaml:1:1: there is no kind 'Pln' in "
     "'forklift.konveyor.io/v1beta1'; did you mean 'Plan'?\n"},
    {"apiVersion: forklift.konveyor.io/v1alpha1\nkind: Plan\n",
     "Error KindNotValid m.yaml:1:1: the kind Plan is not read as "
     "'forklift.konveyor.io/v1alpha1'; use apiVersion "
     "'forklift.konveyor.io/v1beta1'\n"},
    {"apiVersion: forklift.konveyor.io/v1beta1\nkind: Endpoint\n",
     "use apiVersion 'palletjack.io/v1alpha1'\n"},
    {"apiVersion: forklift.konveior.io/v1beta1\nkind: Plan\n",
     "use apiVersion 'forklift.konveyor.io/v1beta1'\n"},
    {"apiVersion: example.com/v1\nkind: Plan\n", ""},
    {"apiVersion: forklift.konveyor.io/v1beta1\nkind: ForkliftController\n",
     "Information KindPassedOver m.yaml:1:1: a ForkliftController asks "
     "nothing of a run"},
    {"apiVersion: v1\nkind: Secret\nmetadata: {}\n",
     "Error FieldMissing m.yaml:3:11: Secret default/?: metadata.name is "
     "missing\n"},
    {"apiVersion: v1\nkind: Secret\nmetadata: {name: ../x}\n",
     "Error FieldNotValid m.yaml:3:18: Secret default/../x: metadata.name "
     "must be lower-case letters"},
    {"apiVersion: v1\nkind: Secret\nmetadata: {name: x, namespace: A}\n",
     "metadata.namespace must be lower-case letters"},
    {"apiVersion: v1\nkind: Secret\n",
     "Error FieldMissing m.yaml:1:1: Secret default/?: metadata is missing"},
    {"apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n---\n"
     "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n",
     "Error ObjectDuplicate m.yaml:5:1: Secret default/x: is there already, "
     "at m.yaml:1:1; remove one of them\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: Endpoint\n"
     "metadata: {name: x}\nspec: {type: dsk}\n",
     "Critical ProviderTypeNotSupported m.yaml:4:14: Endpoint default/x: "
     "spec.type must be one of ova, disk, libvirt, local, fake; did you mean "
     "'disk'?\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: Endpoint\n"
     "metadata: {name: x}\nspec: {type: disk}\n",
     "Critical UrlNotValid m.yaml:1:1: Endpoint default/x: spec.url must be a "
     "path\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: Endpoint\n"
     "metadata: {name: x}\nspec: {type: disk, url: 'file://a'}\n",
     "spec.url must have an absolute path after file://\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: Endpoint\n"
     "metadata: {name: x}\n"
     "spec: {type: disk, url: a, settings: {a: ' , ', cpus: x, b.memory: 2Q, "
     "firmware: bios}}\n",
     "spec.settings.a must be a comma-separated list of disk images\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: Endpoint\n"
     "metadata: {name: x}\n"
     "spec: {type: disk, url: a, settings: {cpus: x, b: i, b.memory: 2Q}}\n",
     "spec.settings.cpus must be a number of processors\nError "
     "SettingsNotValid m.yaml:1:1: Endpoint default/x: "
     "spec.settings.b.memory must be a quantity"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: Endpoint\n"
     "metadata: {name: x}\n"
     "spec: {type: disk, url: a, settings: {web: i, web.memroy: 1Gi, "
     "wbe.cpus: '2', web.firmware: uefi}}\n",
     "spec.settings 'web.memroy' is no setting of type disk; did you mean "
     "'web.memory'?\nWarn FieldUnknown m.yaml:1:1: Endpoint default/x: "
     "spec.settings 'wbe.cpus' is no setting of type disk; did you mean "
     "'web.cpus'?\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: Endpoint\n"
     "metadata: {name: x}\n"
     "spec: {type: ova, url: a, secret: {name: s}, settings: {format: raw}}\n",
     "spec.secret is not used by type ova; remove it\nWarn FieldUnknown "
     "m.yaml:1:1: Endpoint default/x: spec.settings 'format' is no setting of "
     "type ova\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: Endpoint\n"
     "metadata: {name: x}\n"
     "spec: {type: local, url: a, settings: {format: vmdk, fromat: raw}}\n",
     "spec.settings.format must be raw or qcow2\nWarn FieldUnknown "
     "m.yaml:1:1: Endpoint default/x: spec.settings 'fromat' is no setting of "
     "type local; did you mean 'format'?\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: Endpoint\n"
     "metadata: {name: x}\nspec: {type: libvirt, url: \"qemu:///session\", "
     "settings: {format: vmdk, fromat: raw}}\n",
     "spec.settings.format must be raw or qcow2\nWarn FieldUnknown "
     "m.yaml:1:1: Endpoint default/x: spec.settings 'fromat' is no setting of "
     "type libvirt; did you mean 'format'?\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: Endpoint\n"
     "metadata: {name: x}\nspec: {type: libvirt, url: \"qemu+tls://h/system\", "
     "settings: {diskHost: 'ssh://root@h:2Z'}}\n",
     "Error SettingsNotValid m.yaml:1:1: Endpoint default/x: "
     "spec.settings.diskHost must be a machine that ssh reaches: "
     "ssh://USER@HOST:PORT"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: Endpoint\n"
     "metadata: {name: x}\nspec: {type: fake, settings: {any: thing}}\n",
     ""},
    {"apiVersion: forklift.konveyor.io/v1beta1\nkind: Provider\n"
     "metadata: {name: x}\nspec: {type: vspere, secret: {}}\n",
     "Critical ProviderTypeNotSupported m.yaml:1:1: Provider default/x: "
     "spec.type 'vspere' is no type of Provider; did you mean 'vsphere'?\n"},
    {"apiVersion: forklift.konveyor.io/v1beta1\nkind: Provider\n"
     "metadata: {name: x}\nspec: {type: ova, url: 'nas:/ova', secret: {}}\n",
     "Error UrlNotValid m.yaml:1:1: Provider default/x: metadata.annotations "
     "must say where the OVA files are mounted here: add the annotation "
     "palletjack.io/path\n"},
    {"apiVersion: forklift.konveyor.io/v1beta1\nkind: NetworkMap\n"
     "metadata: {name: x}\nspec:\n"
     "  provider: {source: {name: a}, destination: {name: b}}\n  map:\n"
     "  - {source: {}, destination: {type: pod}}\n"
     "  - {source: {id: a, vlan: '4095'}, destination: {type: multus}}\n"
     "  - {source: {id: b}, destination: {type: pot}}\n",
     "Error FieldNotValid m.yaml:8:28: NetworkMap default/x: "
     "spec.map[1].source.vlan must be a number from 1 to 4094, quoted; it is "
     "'4095'\n"
     "Critical DestinationNetworkNotValid m.yaml:9:43: NetworkMap default/x: "
     "spec.map[2].destination.type must be one of pod, multus, ignored; did "
     "you mean 'pod'?\n"
     "Critical SourceNetworkNotValid m.yaml:7:14: NetworkMap default/x: "
     "spec.map[0] names no network: source needs an id, a name or a type\n"
     "Critical DestinationNetworkNotValid m.yaml:8:14: NetworkMap default/x: "
     "spec.map[1] needs destination.name and destination.namespace for type "
     "multus\n"},
    {"apiVersion: forklift.konveyor.io/v1beta1\nkind: Migration\n"
     "metadata: {generateName: m-}\nspec: {plan: {name: gone}}\n",
     "Critical PlanNotValid m.yaml:4:14: Migration default/m-: spec.plan "
     "names Plan 'default/gone', which is not in the manifest\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {limits: {inFlight: 0}}\n",
     "Error FieldNotValid m.yaml:4:27: RunPolicy default/x: "
     "spec.limits.inFlight must be a whole number from 1 to 2147483647; it is "
     "0\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {limits: {inFlight: -1}}\n",
     "Error FieldNotValid m.yaml:4:27: RunPolicy default/x: "
     "spec.limits.inFlight must be a whole number from 1 to 2147483647; it is "
     "-1\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {limits: {inFlight: 2147483648}}\n",
     "Error FieldNotValid m.yaml:4:27: RunPolicy default/x: "
     "spec.limits.inFlight must be a whole number from 1 to 2147483647; it is "
     "2147483648\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {limits: {inFlight: 99999999999}}\n",
     "Error FieldNotValid m.yaml:4:27: RunPolicy default/x: "
     "spec.limits.inFlight must be a whole number from 1 to 2147483647; it is "
     "99999999999\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {limits: {inFlight: 99999999999999999999}}\n",
     "Error FieldNotValid m.yaml:4:27: RunPolicy default/x: "
     "spec.limits.inFlight must be a whole number from 1 to 2147483647; it is "
     "99999999999999999999\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {limits: {inFlight: -99999999999999999999}}\n",
     "Error FieldNotValid m.yaml:4:27: RunPolicy default/x: "
     "spec.limits.inFlight must be a whole number from 1 to 2147483647; it is "
     "-99999999999999999999\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {limits: {inFlight: 1.5}}\n",
     "spec.limits.inFlight must be a whole number from 1 to 2147483647; it is "
     "1.5\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {limits: {inFlight: '5'}}\n",
     "spec.limits.inFlight must be a whole number; it is '5'\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {waves: [{name: a, vms: [b], maxFailures: "
     "-1}]}\n",
     "spec.waves[0].maxFailures must be a whole number from 0 to 2147483647; "
     "it is -1\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {retry: {factor: 0.5}}\n",
     "spec.retry.factor must be a number from 1 to 1000; it is 0.5\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {retry: {factor: 1e300}}\n",
     "spec.retry.factor must be a number from 1 to 1000; it is 1e300\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {deadlines: {vm: -5m}}\n",
     "spec.deadlines.vm must be a duration such as 90s or 1h30m; it is "
     "'-5m'\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {deadlines: {vm: 99999999999999h}}\n",
     "spec.deadlines.vm is too long: at most 2500000000h; it is "
     "'99999999999999h'\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {limits: {bandwidth: -1}}\n",
     "spec.limits.bandwidth must be a quantity such as 512Mi or 10G; it is "
     "'-1'\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {checkpoint: {bytes: 99999999999Ti}}\n",
     "spec.checkpoint.bytes is too much: less than 8Ei; it is "
     "'99999999999Ti'\n"},
    {"apiVersion: forklift.konveyor.io/v1beta1\nkind: Hook\n"
     "metadata: {name: x}\nspec: {image: x, deadline: -1}\n",
     "spec.deadline must be a whole number from 0 to 9223372036854775807; it "
     "is -1\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {retry: {first: 5}}\n",
     "spec.retry.first must be a duration such as 90s or 1h30m; it is '5'\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {checkpoint: {bytes: 1Gb}}\n",
     "spec.checkpoint.bytes must be a quantity such as 512Mi or 10G; it is "
     "'1Gb'\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {deadlines: {stage: {convrt: 1h}}}\n",
     "names 'convrt', which is no stage; did you mean 'convert'?\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {bootProbe: {serial: 'a('}}\n",
     "spec.bootProbe.serial is no regular expression: "},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {waive: [spec.transferNetwrk]}\n",
     "spec.waive[0] names 'spec.transferNetwrk', which is no field"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {waive: ['spec.vms[*].luks']}\n",
     "spec.waive[0] names 'spec.vms[*].luks', which is no field; one entry or "
     "a pattern of them cannot be named: write spec.vms[].luks, which stands "
     "for every entry"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {waive: ['spec.vms[0].luks']}\n",
     "spec.waive[0] names 'spec.vms[0].luks', which is no field; one entry or "
     "a pattern of them cannot be named: write spec.vms[].luks, which stands "
     "for every entry"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {waive: [spec.diskBus, spec.vms.luks]}\n",
     "spec.waive[1] names 'spec.vms.luks', which is no field"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {waive: ['spec.*']}\n",
     "spec.waive[0] names 'spec.*', which is no field"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {waive: ['spec.vms[].luks.']}\n",
     "spec.waive[0] names 'spec.vms[].luks.', which is no field"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {waive: [spec]}\n",
     "spec.waive[0] names 'spec', which would waive everything, what nobody "
     "has thought of too: name the fields"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {waive: [metadata.name]}\n",
     "spec.waive[0] names 'metadata.name', which is no field"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {waive: ['spec.vms[].luks', spec.map, "
     "spec.limits]}\n",
     ""},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {bootTest: off, proof: none, verify: none}\n",
     ""},
    {"apiVersion: palletjack.io/v1alpha1\nkind: RunPolicy\n"
     "metadata: {name: x}\nspec: {proof: none}\n",
     "spec.proof none leaves nothing to verify with; set verify: none too\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: Script\n"
     "metadata: {name: x}\nspec: {}\n",
     "Error ScriptNotValid m.yaml:1:1: Script default/x: spec must have "
     "either lua or file\n"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: Script\n"
     "metadata: {name: x}\nspec: {file: a/../../x.lua}\n",
     "spec.file 'a/../../x.lua' leads out of the manifest's directory"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: Script\n"
     "metadata: {name: x}\nspec: {file: /etc/passwd}\n",
     "spec.file '/etc/passwd' leads out of the manifest's directory"},
    {"apiVersion: palletjack.io/v1alpha1\nkind: Script\n"
     "metadata: {name: x}\nspec: {file: gone.lua}\n",
     "spec.file cannot be read: "},
};

static void
test_documents(void)
{
	for (size_t i = 0; i < sizeof(documents) / sizeof(*documents); i++) {
		CLEANUP(reading_done) struct reading r;
		CLEANUP(mem_freep)
		char *name =
		    mem_printf("document %zu: %.40s", i, documents[i].want);

		name[strcspn(name, "\n")] = '\0';
		read_text(&r, documents[i].text, false);
		if (documents[i].want[0])
			like(r.text.data, documents[i].want, name);
		else
			is_str(r.text.data, "", name);
	}
}

/* --- paths ---------------------------------------------------------------- */

static void
put_file(const char *path, const char *text)
{
	struct err err;

	if (fs_write(path, text, strlen(text), 0600, &err) < 0)
		tap_diag("%s", err.text);
}

#define A_SECRET(name) \
	"apiVersion: v1\nkind: Secret\nmetadata: {name: " name "}\n"

static void
test_directory(void)
{
	CLEANUP(reading_done) struct reading r;
	static const char *const dir = "dir";
	struct err err;

	fs_mkdirs("dir/sub.yaml.d", 0700, &err);
	put_file("dir/b.yml", A_SECRET("b"));
	put_file("dir/a.yaml", A_SECRET("a"));
	put_file("dir/c.json", "{\"apiVersion\": \"v1\", \"kind\": \"Secret\","
			       " \"metadata\": {\"name\": \"c\"}}");
	put_file("dir/.hidden.yaml", "[");
	put_file("dir/README.md", "[");
	put_file("dir/sub.yaml.d/d.yaml", "[");
	read_paths(&r, &dir, 1, false);
	is_int(r.failed, 0, "a directory is read");
	is_int((long long)r.m->nobjects, 3, "its three manifests");
	is_str(r.m->objects[0]->name, "a", "sorted");
	is_str(r.m->objects[2]->pos.file, "dir/c.json", "JSON too");
}

static void
test_unreadable(void)
{
	static const char *const gone = "gone.yaml", *const empty = "empty";
	static const char *const bad = "bad.yaml";
	CLEANUP(reading_done) struct reading r = {0}, e = {0}, b = {0};
	struct err err;

	read_paths(&r, &gone, 1, false);
	is_int(r.err.class, ERR_USER, "a path that is not there");
	like(r.err.text, "'gone.yaml'", "is named");
	fs_mkdirs("empty", 0700, &err);
	read_paths(&e, &empty, 1, false);
	is_str(e.err.text, "'empty' holds no *.yaml, *.yml or *.json",
	       "an empty directory");
	put_file("bad.yaml", "a: [");
	read_paths(&b, &bad, 1, false);
	like(b.err.text, "bad.yaml:2:1: did not find", "not YAML");
}

static void
test_stdin(void)
{
	CLEANUP(reading_done) struct reading r;
	static const char *const dash = "-";

	put_file("in.yaml", A_SECRET("a") "---\napiVersion: v1\nkind: List\n"
					  "items:\n- " A_SECRET("b"));
	if (!freopen("in.yaml", "r", stdin))
		tap_diag("freopen failed");
	read_paths(&r, &dash, 1, false);
	like(r.text.data, "-:", "what is wrong there stands in '-'");
	put_file("list.yaml",
		 "apiVersion: v1\nkind: List\nitems:\n"
		 "- apiVersion: v1\n  kind: Secret\n  metadata: {name: a}\n"
		 "- apiVersion: v1\n  kind: List\n  items:\n"
		 "  - apiVersion: v1\n    kind: Secret\n"
		 "    metadata: {name: b}\n");
	if (!freopen("list.yaml", "r", stdin))
		tap_diag("freopen failed");
	reading_done(&r);
	read_paths(&r, &dash, 1, false);
	is_str(r.text.data, "", "a list without findings");
	is_int((long long)r.m->nobjects, 2, "lists are opened, nested too");
}

static void
test_scripts(void)
{
	CLEANUP(reading_done) struct reading r;
	static const char *const dir = "scripts";
	const struct script *file, *inline_;
	struct err err;

	fs_mkdirs("scripts/lib", 0700, &err);
	put_file("scripts/lib/x.lua", "return 1\n");
	put_file("scripts/m.yaml",
		 "apiVersion: palletjack.io/v1alpha1\nkind: Script\n"
		 "metadata: {name: x}\nspec: {file: lib/x.lua}\n---\n"
		 "apiVersion: palletjack.io/v1alpha1\nkind: Script\n"
		 "metadata: {name: z}\nspec: {lua: return 2}\n---\n"
		 "apiVersion: palletjack.io/v1alpha1\nkind: Endpoint\n"
		 "metadata: {name: e}\nspec: {type: ova, url: in/x.ova}\n");
	read_paths(&r, &dir, 1, false);
	is_str(r.text.data, "", "scripts without findings");
	file = (const struct script *)r.m->objects[0];
	inline_ = (const struct script *)r.m->objects[1];
	is_str(file->lua, "return 1\n", "from a file");
	is_str(file->chunk, "scripts/lib/x.lua", "named after it");
	is_str(inline_->lua, "return 2", "from the manifest");
	is_str(inline_->chunk, "m.yaml/z", "named after it");
	like(((const struct endpoint *)r.m->objects[2])->path,
	     "/scripts/in/x.ova", "paths begin beside the manifest");
}

int
main(void)
{
	if (chdir(tap_dir()) < 0)
		return 1;
	test_plan();
	test_plans();
	test_strict();
	test_documents();
	test_directory();
	test_unreadable();
	test_stdin();
	test_scripts();
	return tap_done();
}
