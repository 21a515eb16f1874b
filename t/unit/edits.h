/* SPDX-License-Identifier: Apache-2.0 */
/* What t/unit/edits.c edits, to what, and what each edit repeats. */
#ifndef T_UNIT_EDITS_H
#define T_UNIT_EDITS_H

/* Two plans, one for each kind of source.  Beside each object stand a twin
 * called NAME-edited and one in the namespace "edited": references can be
 * edited and still mean something. */
static const char base_text[] =
    "[{'apiVersion': 'palletjack.io/v1alpha1', 'kind': 'Endpoint',"
    "  'metadata': {'name': 'src', 'namespace': 'demo'},"
    "  'spec': {'type': 'disk', 'url': '/images', 'secret': {'name': 'key'},"
    "           'settings': {'web': 'a.raw,b.raw'}}},"
    " {'apiVersion': 'palletjack.io/v1alpha1', 'kind': 'Endpoint',"
    "  'metadata': {'name': 'dst', 'namespace': 'demo'},"
    "  'spec': {'type': 'local', 'url': '/srv/vms',"
    "           'secret': {'name': 'key'}}},"
    " {'apiVersion': 'forklift.konveyor.io/v1beta1', 'kind': 'Provider',"
    "  'metadata': {'name': 'prov', 'namespace': 'demo',"
    "               'annotations': {'palletjack.io/path': '/ovas'}},"
    "  'spec': {'type': 'ova', 'url': 'nfs:/ovas',"
    "           'secret': {'name': 'key'}}},"
    " {'apiVersion': 'v1', 'kind': 'Secret',"
    "  'metadata': {'name': 'key', 'namespace': 'demo'},"
    "  'data': {'user': 'bWU='}, 'stringData': {'password': 'old'}},"
    " {'apiVersion': 'v1', 'kind': 'ConfigMap',"
    "  'metadata': {'name': 'texts', 'namespace': 'demo'},"
    "  'data': {'a': 'b'}},"
    " {'apiVersion': 'forklift.konveyor.io/v1beta1', 'kind': 'Host',"
    "  'metadata': {'name': 'esx', 'namespace': 'demo'},"
    "  'spec': {'id': 'host-1', 'ipAddress': '192.0.2.1',"
    "           'provider': {'name': 'prov'}, 'secret': {'name': 'key'}}},"
    " {'apiVersion': 'forklift.konveyor.io/v1beta1', 'kind': 'NetworkMap',"
    "  'metadata': {'name': 'net', 'namespace': 'demo'},"
    "  'spec': {'provider': {'source': {'name': 'src'},"
    "                        'destination': {'name': 'dst'}},"
    "           'map': [{'source': {'name': 'lan'},"
    "                    'destination': {'type': 'multus',"
    "                                    'namespace': 'demo',"
    "                                    'name': 'br0'}}]}},"
    " {'apiVersion': 'forklift.konveyor.io/v1beta1', 'kind': 'StorageMap',"
    "  'metadata': {'name': 'sto', 'namespace': 'demo'},"
    "  'spec': {'provider': {'source': {'name': 'src'},"
    "                        'destination': {'name': 'dst'}},"
    "           'map': [{'source': {'name': 'san'},"
    "                    'destination': {'storageClass': 'fast'}}]}},"
    " {'apiVersion': 'forklift.konveyor.io/v1beta1', 'kind': 'Hook',"
    "  'metadata': {'name': 'ansible', 'namespace': 'demo'},"
    "  'spec': {'image': 'x'}},"
    " {'apiVersion': 'palletjack.io/v1alpha1', 'kind': 'Script',"
    "  'metadata': {'name': 'hook', 'namespace': 'demo'},"
    "  'spec': {'lua': 'log(1)'}},"
    " {'apiVersion': 'palletjack.io/v1alpha1', 'kind': 'RunPolicy',"
    "  'metadata': {'name': 'default', 'namespace': 'demo'},"
    "  'spec': {'bootTest': 'once',"
    "           'limits': {'bandwidthByTime': ["
    "             {'from': '08:00', 'to': '18:00', 'days': ['mon'],"
    "              'bandwidth': '10M', 'bandwidthPerEndpoint': '5M'}]},"
    "           'cutover': {'window': ["
    "             {'from': '22:00', 'to': '23:00', 'days': ['sat'],"
    "              'timeZone': 'UTC'}]},"
    "           'waves': [{'name': 'first', 'vms': ['web']}]}},"
    " {'apiVersion': 'forklift.konveyor.io/v1beta1', 'kind': 'Plan',"
    "  'metadata': {'name': 'web', 'namespace': 'demo'},"
    "  'spec': {'provider': {'source': {'name': 'src'},"
    "                        'destination': {'name': 'dst'}},"
    "           'map': {'network': {'name': 'net'},"
    "                   'storage': {'name': 'sto'}},"
    "           'targetNamespace': 'demo',"
    "           'vms': [{'name': 'web', 'hooks': [{'step': 'PreHook',"
    "                     'hook': {'kind': 'Script', 'name': 'hook'}}]}]}},"
    " {'apiVersion': 'forklift.konveyor.io/v1beta1', 'kind': 'Plan',"
    "  'metadata': {'name': 'appliances', 'namespace': 'demo'},"
    "  'spec': {'provider': {'source': {'name': 'prov'},"
    "                        'destination': {'name': 'dst'}},"
    "           'map': {'network': {'name': 'net'},"
    "                   'storage': {'name': 'sto'}},"
    "           'targetNamespace': 'demo', 'vms': [{'name': 'web'}]}},"
    " {'apiVersion': 'forklift.konveyor.io/v1beta1', 'kind': 'Migration',"
    "  'metadata': {'name': 'go', 'namespace': 'demo'},"
    "  'spec': {'plan': {'name': 'web'}}}]";

/* What a field is edited to where nothing made up would be right. */
static const struct {
	const char *path, *value;
} values[] = {
    {"metadata.name", "'renamed'"},
    {"metadata.namespace", "'elsewhere'"},
    {"metadata.annotations", "{'palletjack.io/run-policy': 'default-edited'}"},
    {"Provider prov metadata.annotations", "{'palletjack.io/path': '/more'}"},
    {"spec.provider.source.name", "'src-edited'"},
    {"spec.provider.destination.name", "'dst-edited'"},
    {"spec.map.network.name", "'net-edited'"},
    {"spec.map.storage.name", "'sto-edited'"},
    {"spec.secret.name", "'key-edited'"},
    {"spec.plan.name", "'web-edited'"},
    {"spec.vms[].hooks[].hook.name", "'hook-edited'"},
    {"Endpoint src spec.type", "'ova'"},
    {"Endpoint dst spec.type", "'fake'"},
    {"Endpoint src spec.settings", "{'web': 'c.raw', 'web.cpus': '4'}"},
    {"Endpoint dst spec.settings", "{'format': 'qcow2'}"},
    {"spec.provider.source.kind", "'Endpoint'"},
    {"spec.provider.destination.kind", "'Endpoint'"},
    {"spec.map.network.kind", "'NetworkMap'"},
    {"spec.map.storage.kind", "'StorageMap'"},
    {"spec.secret.kind", "'Secret'"},
    {"spec.plan.kind", "'Plan'"},
    {"Plan web spec.vms[].id", "'vm-1'"},
    {"Plan web spec.vms[].name", "'db'"},
    {"Plan web spec.vms[].rootDisk", "'sda1'"},
    {"spec.vms[].hooks[].hook.kind", "'Script'"},
    {"spec.map[].destination.name", "'br1'"},
    {"spec.cancel[].name", "'web'"},
    {"spec.cancel[].id", "'vm-1'"},
    {"spec.vmCutover[].id", "'vm-1'"},
    {"Script hook spec.file", "'edited.lua'"},
    {"spec.deadlines.stage", "{'cutover': '3h'}"},
    {"spec.limits.bandwidthByTime[].from", "'07:30'"},
    {"spec.limits.bandwidthByTime[].to", "'24:00'"},
    {"spec.cutover.window[].from", "'21:30'"},
    {"spec.cutover.window[].to", "'24:00'"},
    {"spec.cutover.window[].timeZone", "'+01:00'"},
    {"spec.verifySample", "'20%'"},
    {"spec.bootProbe.serial", "'login:'"},
    {"spec.bootProbe.script", "'hook'"},
    {"spec.waves[].vms", "['web']"},
    {"spec.waves[].after", "[]"},
    {"spec.waive", "['spec.warm']"},
};

#define ALL_BUT_VM                                                      \
	"validate cutover cutover/disk-0 cutover/disk-1 verify/disk-0 " \
	"verify/disk-1 convert boot-test commit"

/* The edits that do anything; all others repeat nothing.  A plus stands before
 * a step that was not there. */
static const struct {
	const char *edit, *effect;
} effects[] = {
    /* another place for the disks: the only edits that copy again */
    {"Endpoint dst spec.type", ALL_BUT_VM},
    {"Endpoint dst spec.url", ALL_BUT_VM},
    {"Endpoint dst spec.settings", ALL_BUT_VM " create-vm"},
    {"spec.map[].destination.storageClass", ALL_BUT_VM " create-vm"},
    {"spec.vms[].targetName", ALL_BUT_VM " create-vm"},

    /* another guest on the same copy */
    {"spec.vms[].rootDisk", "convert boot-test commit"},
    {"Plan web spec.skipGuestConversion: true", "validate boot-test create-vm"},
    {"RunPolicy default spec.bootProbe.serial", "boot-test"},
    {"RunPolicy default spec.bootProbe.agent: true", "boot-test"},
    {"RunPolicy default spec.bootProbe.script", "boot-test"},
    {"RunPolicy default spec.bootProbe.inconclusive: 'pass'", "boot-test"},

    /* another machine around it */
    {"NetworkMap net spec.map[].destination.type", "validate create-vm"},
    {"NetworkMap net spec.map[].destination.namespace", "create-vm"},
    {"NetworkMap net spec.map[].destination.name", "validate create-vm"},
    {"Plan web spec.vms[].targetPowerState: 'on'", "start"},
    {"Plan web spec.vms[].targetPowerState: 'off'", "start"},
    {"Plan web spec.targetPowerState: 'on'", "start"},
    {"Plan web spec.targetPowerState: 'off'", "start"},

    /* other hooks */
    {"spec.vms[].hooks[].step", "+post-hook"},
    {"spec.vms[].hooks[].hook.name", "pre-hook"},

    /* another vm, with a state of its own; no vm at all */
    {"Plan web spec.vms[].name", "none of it"},
    {"Plan web spec.archived: true", "none of it"},

    /* what somebody needs is there no more, or was never what it is called */
    {"Secret key kind", ""},
    {"ConfigMap texts kind", ""},
    {"kind", "refused"},
    {"Endpoint src apiVersion", "refused"},
    {"Endpoint dst apiVersion", "refused"},
    {"Provider prov apiVersion", "refused"},
    {"NetworkMap net apiVersion", "refused"},
    {"StorageMap sto apiVersion", "refused"},
    {"Script hook apiVersion", "refused"},
    {"Plan web apiVersion", "refused"},
    {"Endpoint src metadata.name", "refused"},
    {"Endpoint dst metadata.name", "refused"},
    {"Provider prov metadata.name", "refused"},
    {"NetworkMap net metadata.name", "refused"},
    {"StorageMap sto metadata.name", "refused"},
    {"Script hook metadata.name", "refused"},
    {"Plan web metadata.name", "refused"},
    {"Endpoint src metadata.namespace", "refused"},
    {"Endpoint dst metadata.namespace", "refused"},
    {"Provider prov metadata.namespace", "refused"},
    {"NetworkMap net metadata.namespace", "refused"},
    {"StorageMap sto metadata.namespace", "refused"},
    {"Script hook metadata.namespace", "refused"},
    {"Plan web metadata.namespace", "refused"},
    {"Migration go metadata.namespace", "refused"},
    {"Provider prov spec.type", "refused"},
    {"NetworkMap net spec.map[].source.id", "refused"},
    {"NetworkMap net spec.map[].source.name", "refused"},
    {"StorageMap sto spec.map[].source.id", "refused"},
    {"StorageMap sto spec.map[].source.name", "refused"},
    {"Script hook spec.file", "refused"},
    {"RunPolicy default spec.proof: 'none'", "refused"},
    {"Plan web spec.type: 'warm'", "refused"},
    {"Plan web spec.type: 'live'", "refused"},
    {"Plan web spec.type: 'conversion'", "refused"},
    {"Migration go spec.cancel[].namespace", "refused"},
    {"Migration go spec.cancel[].type", "refused"},

};

#endif
