/* SPDX-License-Identifier: Apache-2.0 */
/* References across documents and namespaces: endpoints, maps, run policies,
 * hooks, migrations. */
#include "t/unit/manifest.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define FORKLIFT(kind) \
	"---\napiVersion: forklift.konveyor.io/v1beta1\nkind: " kind "\n"
#define OURS(kind) "---\napiVersion: palletjack.io/v1alpha1\nkind: " kind "\n"
#define PLAN_OF(name, namespace, source, destination)                        \
	FORKLIFT("Plan")                                                     \
	"metadata: {name: " name                                             \
	", namespace: " namespace "}\n"                                      \
				  "spec:\n"                                  \
				  "  provider: {source: " source             \
				  ", destination: " destination "}\n"        \
				  "  map: {network: {name: net, namespace: " \
				  "default},"                                \
				  " storage: {name: sto, namespace: "        \
				  "default}}\n"                              \
				  "  targetNamespace: demo\n  vms: [{name: " \
				  "web}]\n"

static const struct plan *
plan_named(const struct reading *r, const char *name)
{
	const struct plan *p = NULL;
	struct err err;

	if (manifest_plan(r->m, name, &p, &err) < 0)
		tap_diag("%s", err.text);
	return p;
}

static void
test_namespaces(void)
{
	CLEANUP(reading_done) struct reading r;

	read_text(&r,
		  SURROUNDINGS OURS(
		      "Endpoint") "metadata: {name: src, namespace: far}\n"
				  "spec: {type: ova, url: /a}\n" PLAN_OF(
				      "near", "far", "{name: src}",
				      "{name: dst, namespace: default}")
				      PLAN_OF("across", "far",
					      "{name: src, namespace: default}",
					      "{name: dst, namespace: default}")
					  PLAN_OF("lost", "far", "{name: src}",
						  "{name: dst}"),
		  false);
	is_str(plan_named(&r, "near")->source->type, "ova",
	       "no namespace is that of the referrer");
	is_str(plan_named(&r, "far/across")->source->type, "disk",
	       "a reference to another namespace");
	like(r.text.data,
	     "Critical DestinationProviderNotValid m.yaml:53:48: Plan "
	     "far/lost: spec.provider.destination names Provider or Endpoint "
	     "'far/dst', which is not in the manifest; did you mean Endpoint "
	     "'default/dst'?\n",
	     "one that leads nowhere");
	is_int((long long)r.findings.n, 1, "and nothing else");
}

static void
test_kinds(void)
{
	CLEANUP(reading_done) struct reading r;

	read_text(
	    &r,
	    SURROUNDINGS FORKLIFT(
		"Provider") "metadata: {name: src, annotations: "
			    "{palletjack.io/path: ova}}\n"
			    "spec: {type: ova, url: 'nas:/ova', secret: "
			    "{}}\n" PLAN_OF("a", "default", "{name: src}",
					    "{name: dst}")
				PLAN_OF("b", "default",
					"{name: src, kind: Endpoint}",
					"{name: dst, kind: Endpoint}")
				    PLAN_OF("c", "default",
					    "{name: src, kind: Secret}",
					    "{name: host}")
					PLAN_OF("d", "default", "{name: dst}",
						"{name: src}")
					    PLAN_OF("e", "default", "{}",
						    "{name: dst}"),
	    false);
	ok(plan_named(&r, "a")->source->is_provider, "a Provider goes first");
	like(plan_named(&r, "a")->source->path, "/ova",
	     "its path is in an annotation");
	ok(!plan_named(&r, "b")->source->is_provider, "kind: Endpoint");
	like(
	    r.text.data,
	    "Plan default/c: spec.provider.source names a Secret; it must be a "
	    "Provider or Endpoint\n",
	    "kind: Secret");
	like(r.text.data,
	     "Error DestinationProviderNotValid m.yaml:53:62: Plan default/c: "
	     "spec.provider.destination is of type openshift",
	     "the built-in host");
	is_str(plan_named(&r, "c")->target->o.name, "host", "is an endpoint");
	like(r.text.data,
	     "Critical SourceProviderNotValid m.yaml:62:22: Plan default/d: "
	     "spec.provider.source is of type local, which can only be a "
	     "destination\n",
	     "a target as source");
	like(r.text.data, "is of type ova, which can only be a source\n",
	     "a source as target");
	like(r.text.data, "Plan default/e: spec.provider.source names nothing",
	     "an empty reference");
}

/* --- run policies -------------------------------------------------------- */

static void
test_binding(void)
{
	CLEANUP(reading_done) struct reading r;

	read_text(
	    &r,
	    SURROUNDINGS OURS(
		"RunPolicy") "metadata: {name: default}\n"
			     "spec: {limits: {inFlight: 1}}\n" OURS(
				 "RunPolicy") "metadata: {name: fast}\n"
					      "spec: {limits: {inFlight: "
					      "99}}\n" PLAN_OF("a", "default",
							       "{name: src}",
							       "{name: dst}")
						  PLAN_OF("b, annotations: "
							  "{palletjack.io/"
							  "run-policy: fast}",
							  "default",
							  "{name: src}",
							  "{name: dst}")
						      PLAN_OF(
							  "c", "far",
							  "{name: src, "
							  "namespace: default}",
							  "{name: dst, "
							  "namespace: default}")
							  PLAN_OF(
							      "d, annotations: "
							      "{palletjack.io/"
							      "run-policy: "
							      "gone, "
							      "palletjack.io/"
							      "run-polcy: x, "
							      "other/run: z}",
							      "default",
							      "{name: src}",
							      "{name: dst}"),
	    false);
	is_int(plan_named(&r, "a")->policy->limits.in_flight, 1,
	       "the one called default");
	is_int(plan_named(&r, "b")->policy->limits.in_flight, 99,
	       "the one an annotation names");
	is_int(plan_named(&r, "c")->policy->limits.in_flight, 20,
	       "built in: default is of another namespace");
	like(
	    r.text.data,
	    "Error RunPolicyNotValid m.yaml:63:1: Plan default/d: "
	    "metadata.annotations names RunPolicy 'default/gone', which is not "
	    "in the manifest\n",
	    "one that is not there");
	ok(plan_named(&r, "d")->policy != NULL, "still has a policy");
	like(r.text.data,
	     "'palletjack.io/run-polcy' is no annotation of ours; "
	     "did you mean 'palletjack.io/run-policy'?",
	     "a slip of the pen");
}

static void
test_policy_values(void)
{
	CLEANUP(reading_done) struct reading r;
	const struct run_policy *p;

	read_text(
	    &r,
	    OURS("RunPolicy") "metadata: {name: x}\nspec:\n"
			      "  limits: {inFlight: 2, disksPerHost: 3, "
			      "conversions: 4}\n"
			      "  retry: {attempts: 6, first: 7s, factor: 1.5, "
			      "max: 8m,"
			      " total: 9h}\n"
			      "  deadlines: {run: 1s, vm: 2s, hook: 3s, "
			      "shutdown: 4s,"
			      " conversion: 5s, bootTest: 6s, wait: 7s,"
			      " stage: {cutover: 8s}}\n"
			      "  proof: xxh3\n  checkpoint: {every: 10s, "
			      "bytes: 2Gi}\n"
			      "  verify: none\n  bootTest: every-generation\n"
			      "  bootProbe: {serial: 'login:', agent: true, "
			      "inconclusive: pass}\n"
			      "  waive: [spec.warm, 'spec.vms[].luks']\n",
	    false);
	is_str(r.text.data, "", "without findings");
	p = (const struct run_policy *)r.m->objects[0];
	ok(p->limits.in_flight == 2 && p->limits.disks_per_host == 3 &&
	       p->limits.conversions == 4,
	   "limits");
	ok(p->retry.attempts == 6 && p->retry.first_ms == 7000 &&
	       p->retry.factor == 1.5 && p->retry.max_ms == 480000 &&
	       p->retry.total_ms == 9 * 3600000,
	   "retry");
	ok(p->deadlines.run_ms == 1000 && p->deadlines.vm_ms == 2000 &&
	       p->deadlines.hook_ms == 3000 &&
	       p->deadlines.shutdown_ms == 4000 &&
	       p->deadlines.conversion_ms == 5000 &&
	       p->deadlines.boot_test_ms == 6000 &&
	       p->deadlines.wait_ms == 7000,
	   "deadlines");
	is_str(
	    json_string_value(json_object_get(p->deadlines.stage, "cutover")),
	    "8s", "a stage's deadline");
	is_int(p->proof, PROOF_XXH3, "proof");
	ok(p->checkpoint.every_ms == 10000 && p->checkpoint.bytes == (uint64_t)2
									 << 30,
	   "checkpoint");
	is_int(p->verify, VERIFY_NONE, "verify");
	is_int(p->boot_test, BOOT_TEST_EVERY, "boot test");
	is_str(p->boot_probe.serial, "login:", "pattern");
	is_int(p->boot_probe.inconclusive, INCONCLUSIVE_PASS, "inconclusive");
	ok(p->boot_probe.agent && !p->boot_probe.script, "agent, no script");
	ok(run_policy_waives(p, "spec.warm"), "waives a field");
	ok(run_policy_waives(p, "spec.vms[12].luks.name"), "and below a list");
	ok(!run_policy_waives(p, "spec.warmth"), "not what begins alike");
	ok(!run_policy_waives(p, "spec.vms[1].nbdeClevis"), "not a sister");
}

/* In central Europe; summer time begins on 2026-03-29 at 01:00 UTC. */
static uint64_t
bandwidth_at(const struct run_policy *p, const char *utc)
{
	int64_t wall_ms = -1;

	if (clock_parse(utc, &wall_ms) < 0)
		return 12345;
	return run_policy_bandwidth(p, wall_ms);
}

static void
test_bandwidth(void)
{
	CLEANUP(reading_done) struct reading r;
	const struct run_policy *p;
	int64_t ms;

	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	read_text(
	    &r,
	    OURS("RunPolicy") "metadata: {name: x}\n"
			      "spec:\n"
			      "  limits:\n"
			      "    bandwidth: 100M\n"
			      "    bandwidthPerEndpoint: 70M\n"
			      "    bandwidthByTime:\n"
			      "    - {from: '08:00', to: '18:00', bandwidth: "
			      "10M, days: [mon, tue]}\n"
			      "    - {from: '22:00', to: '02:30', bandwidth: "
			      "20M, bandwidthPerEndpoint: 5M, days: [sat]}\n"
			      "    - {bandwidth: 30M, days: [wed]}\n",
	    false);
	is_str(r.text.data, "", "without findings");
	p = (const struct run_policy *)r.m->objects[0];
	ok(run_policy_limits_bandwidth(p), "it is limited");
	/* 2026-03-23 is a Monday */
	is_int(bandwidth_at(p, "2026-03-23T06:59:59Z"), 100000000, "before");
	is_int(bandwidth_at(p, "2026-03-23T07:00:00Z"), 10000000, "from");
	is_int(bandwidth_at(p, "2026-03-24T16:59:59Z"), 10000000, "next day");
	is_int(bandwidth_at(p, "2026-03-23T17:00:00Z"), 100000000, "to");
	is_int(bandwidth_at(p, "2026-03-25T00:00:00Z"), 30000000, "all day");
	is_int(bandwidth_at(p, "2026-03-26T07:00:00Z"), 100000000, "no day");
	/* the night of the change: 02:00 is 03:00 at once */
	is_int(bandwidth_at(p, "2026-03-28T20:59:59Z"), 100000000, "evening");
	is_int(bandwidth_at(p, "2026-03-28T21:00:00Z"), 20000000, "night");
	is_int(bandwidth_at(p, "2026-03-29T00:59:59Z"), 20000000, "01:59:59");
	is_int(bandwidth_at(p, "2026-03-29T01:00:00Z"), 100000000, "03:00");
	is_int(bandwidth_at(p, "2026-03-22T22:00:00Z"), 100000000, "Sunday");
	clock_parse("2026-03-28T23:30:00Z", &ms);
	is_int(run_policy_bandwidth_per_endpoint(p, ms), 5000000, "endpoint");
	is_int(run_policy_bandwidth_per_endpoint(p, ms + 86400000), 70000000,
	       "endpoint, at other times");
	reading_done(&r);
	setenv("TZ", "UTC", 1);
	tzset();
	read_text(
	    &r,
	    OURS("RunPolicy") "metadata: {name: x}\n"
			      "spec:\n"
			      "  limits:\n"
			      "    bandwidth: 1k\n"
			      "    bandwidthByTime:\n"
			      "    - {from: '8:00', bandwidth: 10M}\n"
			      "    - {from: '08:00', to: '24:30', bandwidth: "
			      "10M}\n"
			      "    - {from: '08:00', to: '08:00', bandwidth: "
			      "10M}\n"
			      "    - {days: [sun]}\n"
			      "    - {days: [monday], bandwidth: 0}\n",
	    false);
	like(r.text.data, "spec.limits.bandwidth must be at least 64Ki",
	     "too little");
	like(r.text.data,
	     "m.yaml:9:7: RunPolicy default/x: "
	     "spec.limits.bandwidthByTime[0] has a time that is "
	     "none: write \"08:00\"",
	     "no time");
	like(r.text.data, "bandwidthByTime[1] has a time that is none",
	     "beyond the day");
	like(r.text.data, "bandwidthByTime[2] ends when it begins", "empty");
	like(r.text.data, "bandwidthByTime[3] changes nothing", "no limit");
	like(r.text.data, "bandwidthByTime[4].days[0] must be one of sun, mon",
	     "no day");
	like(r.text.data, "bandwidthByTime[4] must be at least 64Ki", "zero");
}

static void
test_policy_defaults(void)
{
	CLEANUP(reading_done) struct reading r;
	const struct run_policy *p;
	json_t *limits;

	read_text(&r, PLAN_OF("a", "default", "{name: a}", "{name: b}"), false);
	p = r.m->plans[0]->policy;
	ok(!run_policy_limits_bandwidth(p), "no bandwidth limit");
	ok(p->retry.attempts == 5 && p->retry.factor == 2 &&
	       p->retry.max_ms == 300000 && p->retry.total_ms == 3600000,
	   "retry");
	ok(p->deadlines.run_ms == 0 && p->deadlines.vm_ms == 0 &&
	       p->deadlines.hook_ms == 1800000 &&
	       p->deadlines.conversion_ms == 7200000 &&
	       p->deadlines.boot_test_ms == 600000 &&
	       p->deadlines.wait_ms == 1800000,
	   "deadlines");
	is_int((long long)json_object_size(p->deadlines.stage), 0, "by stage");
	ok(p->proof == PROOF_SHA256 && p->verify == VERIFY_FULL &&
	       p->boot_test == BOOT_TEST_OFF &&
	       p->boot_probe.inconclusive == INCONCLUSIVE_HOLD,
	   "words");
	ok(p->checkpoint.every_ms == 5000 && p->checkpoint.bytes == (uint64_t)1
									<< 30,
	   "checkpoint");
	limits = json_object_get(p->o.spec, "limits");
	is_int(json_integer_value(json_object_get(limits, "disksPerHost")), 8,
	       "scripts see them");
}

/* --- vms, hooks, migrations ----------------------------------------------- */

static void
test_vms(void)
{
	CLEANUP(reading_done) struct reading r;
	const struct plan *p;

	read_text(&r,
		  PLAN_HEAD
		  "  targetPowerState: off\n"
		  "  vms:\n"
		  "  - {name: a, rootDisk: sdb}\n"
		  "  - {id: vm-7, targetPowerState: on}\n"
		  "  - name: c\n    targetPowerState: auto\n    hooks:\n"
		  "    - {step: PostHook, hook: {kind: Script, name: s}}\n"
		  "    - {step: PostHook, hook: {kind: Script, name: "
		  "s}}\n" OURS("Script") "metadata: {name: s}\nspec: {lua: "
					 "x}\n" FORKLIFT(
					     "Migration") "metadata: {name: "
							  "m}\n"
							  "spec: {plan: {name: "
							  "web}, cutover: "
							  "'2020-01-01T00:00:"
							  "00Z'}\n",
		  false);
	p = r.m->plans[0];
	is_int(p->vms[0].target_power, POWER_OFF, "the plan's power state");
	is_int(p->vms[1].target_power, POWER_ON, "a vm's own");
	is_int(p->vms[2].target_power, POWER_AUTO, "auto is its own too");
	is_str(p->vms[0].root_disk, "sdb", "root disk");
	is_str(p->vms[1].key, "vm-7", "without name the id is the key");
	is_int((long long)p->vms[2].index, 2, "its index");
	ok(!plan_vm_hook(&p->vms[2], HOOK_PRE), "no hook before");
	is_str(plan_vm_hook(&p->vms[2], HOOK_POST)->script->lua, "x",
	       "a hook after");
	like(r.text.data,
	     "Warn HookIgnored m.yaml:40:30: Plan default/web: vm c: "
	     "spec.vms[2].hooks has more than one hook of a step",
	     "a second one");
	is_int((long long)p->nmigrations, 1, "its migration");
	ok(p->migrations[0]->cutover_ms == 1577836800000, "with its time");
}

static void
test_choice(void)
{
	CLEANUP(reading_done) struct reading none, two;
	const struct plan *p = NULL;

	read_text(&none, SURROUNDINGS, false);
	is_int(manifest_plan(none.m, NULL, &p, &none.err), -1, "no plan");
	is_str(none.err.text, "the manifest holds no plan", "says so");
	read_text(&two,
		  PLAN_OF("a", "x", "{name: a}", "{name: b}")
		      PLAN_OF("b", "x", "{name: a}", "{name: b}"),
		  false);
	is_int(manifest_plan(two.m, NULL, &p, &two.err), -1, "two plans");
	is_str(two.err.text,
	       "the manifest holds several plans (x/a, x/b); choose one with "
	       "--plan NAMESPACE/NAME",
	       "says so");
	is_int(manifest_plan(two.m, "x/c", &p, &two.err), -1, "another");
	is_str(two.err.text,
	       "there is no plan 'x/c'; the manifest holds x/a, x/b",
	       "says so");
	is_int(manifest_plan(two.m, "x/b", &p, &two.err), 0, "one of them");
}

int
main(void)
{
	if (chdir(tap_dir()) < 0)
		return 1;
	test_namespaces();
	test_kinds();
	test_binding();
	test_policy_values();
	test_bandwidth();
	test_policy_defaults();
	test_vms();
	test_choice();
	return tap_done();
}
