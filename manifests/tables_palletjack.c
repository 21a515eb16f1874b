/* SPDX-License-Identifier: Apache-2.0 */
/* Our own kinds: Endpoint, Script, RunPolicy. */
#include "manifests/tables.h"

#define LATER(reason) .honour = NOT_YET, .why = reason
#define POLICY(member) .at = AT(struct run_policy, member)

/* --- Endpoint ---------------------------------------------------------- */

static const char *const endpoint_types[] = {"ova",   "disk", "libvirt",
					     "local", "fake", NULL};

static const struct field endpoint_spec[] = {
    {.name = "type",
     .type = FIELD_WORD,
     .words = endpoint_types,
     .as_text = true,
     .required = true,
     .at = AT(struct endpoint, type),
     .condition = "ProviderTypeNotSupported",
     .doc = "sources: `ova`, `disk`; target: `local`; both: `libvirt`, "
	    "`fake`"},
    {.name = "url",
     .type = FIELD_STRING,
     .at = AT(struct endpoint, url),
     .doc = "a path (`ova`, `disk`, `local`; `file://` may stand before it), "
	    "relative to the manifest's directory, or a libvirt URI"},
    {FIELD_REF("secret", struct endpoint, secret_ref),
     .doc = "its credentials, where it needs any"},
    {.name = "settings",
     .type = FIELD_MAP,
     .item = &item_string,
     .at = AT(struct endpoint, settings),
     .dflt = "{}",
     .doc = "by type, see below"},
    {.name = NULL},
};

const struct field table_endpoint[] = {
    FIELDS_TOP("`" API_PALLETJACK "`", "`Endpoint`"),
    {.name = "spec",
     .type = FIELD_OBJECT,
     .sub = endpoint_spec,
     .required = true,
     .doc = "what is asked for"},
    {.name = NULL},
};

/* --- Script ------------------------------------------------------------ */

static const struct field script_spec[] = {
    {.name = "lua",
     .type = FIELD_STRING,
     .at = AT(struct script, lua),
     .doc = "the source text; either this or `file`"},
    {.name = "file",
     .type = FIELD_STRING,
     .at = AT(struct script, chunk),
     .doc = "a file beside the manifest or below it, at most 1 MiB"},
    {.name = NULL},
};

const struct field table_script[] = {
    FIELDS_TOP("`" API_PALLETJACK "`", "`Script`"),
    {.name = "spec",
     .type = FIELD_OBJECT,
     .sub = script_spec,
     .required = true,
     .doc = "what is asked for"},
    {.name = NULL},
};

/* --- RunPolicy --------------------------------------------------------- */

static const char *const quiesces[] = {"never", "try", "require", NULL};
static const char *const snapshot_words[] = {"fail", "wait", "full", "ignore",
					     NULL};
static const char *const power_offs[] = {"never", "fallback", "always", NULL};
static const char *const proofs[] = {"sha256", "xxh3", "none", NULL};
static const char *const verifies[] = {"full", "changed", "sample", "none",
				       NULL};
static const char *const boot_tests[] = {"off", "once", "every-generation",
					 NULL};
static const char *const inconclusives[] = {"hold", "pass", NULL};
static const char *const failures[] = {"restart-source", "hold", "rollback",
				       NULL};
static const char *const hook_failures[] = {"fail", "warn", "ignore", NULL};

static const struct field item_duration = {.type = FIELD_DURATION};

static const char *const week_days[] = {"sun", "mon", "tue", "wed",
					"thu", "fri", "sat", NULL};
static const char *const priorities[] = {"normal", "low", NULL};

static const struct field week_day = {
    .type = FIELD_WORD, .words = week_days, .as_text = true, .at = 1};

static const struct field bandwidth_fields[] = {
    {.name = "from",
     .type = FIELD_STRING,
     .at = AT(struct bandwidth_time, from),
     .doc = "time of day, quoted: `\"08:00\"`; without it midnight"},
    {.name = "to",
     .type = FIELD_STRING,
     .at = AT(struct bandwidth_time, to),
     .doc = "up to then; before `from` it is on the next day; without it "
	    "midnight"},
    {.name = "days",
     .type = FIELD_LIST,
     .item = &week_day,
     LIST_AT(struct bandwidth_time, days, ndays),
     .doc = "`sun` to `sat`, on which it begins; without it all"},
    {.name = "bandwidth",
     .type = FIELD_QUANTITY,
     .at = AT(struct bandwidth_time, bandwidth),
     .doc = "instead of `limits.bandwidth`"},
    {.name = "bandwidthPerEndpoint",
     .type = FIELD_QUANTITY,
     .at = AT(struct bandwidth_time, per_endpoint),
     .doc = "instead of `limits.bandwidthPerEndpoint`"},
    {.name = NULL},
};

static const struct field bandwidth_item = {
    .type = FIELD_OBJECT,
    .sub = bandwidth_fields,
    .pos_at = AT(struct bandwidth_time, pos)};

static const struct field limits_fields[] = {
    {.name = "inFlight",
     .type = FIELD_INT,
     .dflt = "20",
     .min = 1,
     POLICY(limits.in_flight),
     .doc = "vms worked on at once"},
    {.name = "disksPerHost",
     .type = FIELD_INT,
     .dflt = "8",
     .min = 1,
     POLICY(limits.disks_per_host),
     .doc = "disks copied or verified at once of one source host"},
    {.name = "perEndpoint",
     .type = FIELD_INT,
     .min = 1,
     POLICY(limits.per_endpoint),
     .doc = "disks copied or verified at once from or to one endpoint"},
    {.name = "conversions",
     .type = FIELD_INT,
     .dflt = "1",
     .min = 1,
     POLICY(limits.conversions),
     .doc = "conversions at once"},
    {.name = "bandwidth",
     .type = FIELD_QUANTITY,
     POLICY(limits.bandwidth),
     .doc = "bytes per second that all copies of a run read, see below"},
    {.name = "bandwidthPerEndpoint",
     .type = FIELD_QUANTITY,
     POLICY(limits.bandwidth_per_endpoint),
     .doc = "bytes per second from or to each endpoint, verifying included"},
    {.name = "bandwidthByTime",
     .type = FIELD_LIST,
     .item = &bandwidth_item,
     .dflt = "[]",
     LIST_AT(struct run_policy, limits.bandwidth_by_time,
	     limits.nbandwidth_by_time),
     .doc = "other limits at other times; the first entry that fits counts"},
    {.name = "priority",
     .type = FIELD_WORD,
     .words = priorities,
     .dflt = "normal",
     POLICY(limits.priority),
     .doc = "low: what copies and verifies disks lets everybody else use "
	    "processors and disks first"},
    {.name = NULL},
};

static const struct field retry_fields[] = {
    {.name = "attempts",
     .type = FIELD_INT,
     .dflt = "5",
     .min = 1,
     POLICY(retry.attempts),
     .doc = "how often a step is tried"},
    {.name = "first",
     .type = FIELD_DURATION,
     .dflt = "5s",
     POLICY(retry.first_ms),
     .doc = "the wait before the second try"},
    {.name = "factor",
     .type = FIELD_NUMBER,
     .dflt = "2",
     .min = 1,
     .max = 1000,
     POLICY(retry.factor),
     .doc = "each wait is so much longer"},
    {.name = "max",
     .type = FIELD_DURATION,
     .dflt = "5m",
     POLICY(retry.max_ms),
     .doc = "no wait is longer"},
    {.name = "total",
     .type = FIELD_DURATION,
     .dflt = "1h",
     POLICY(retry.total_ms),
     .doc = "all waits of a step together, over all runs"},
    {.name = NULL},
};

static const struct field deadline_fields[] = {
    {.name = "run",
     .type = FIELD_DURATION,
     POLICY(deadlines.run_ms),
     .doc = "a whole run"},
    {.name = "vm",
     .type = FIELD_DURATION,
     POLICY(deadlines.vm_ms),
     .doc = "one vm in one run"},
    {.name = "stage",
     .type = FIELD_MAP,
     .item = &item_duration,
     .dflt = "{}",
     POLICY(deadlines.stage),
     .doc = "by name of stage; cutover is the one that copies disks, "
	    "inventory is asking the source"},
    {.name = "hook",
     .type = FIELD_DURATION,
     .dflt = "30m",
     POLICY(deadlines.hook_ms),
     .doc = "one hook"},
    {.name = "shutdown",
     .type = FIELD_DURATION,
     .dflt = "10m",
     POLICY(deadlines.shutdown_ms),
     .doc = "the source's guest going down, where the source runs vms"},
    {.name = "conversion",
     .type = FIELD_DURATION,
     .dflt = "2h",
     POLICY(deadlines.conversion_ms),
     .doc = "converting one vm"},
    {.name = "bootTest",
     .type = FIELD_DURATION,
     .dflt = "10m",
     POLICY(deadlines.boot_test_ms),
     .doc = "booting one vm"},
    {.name = "wait",
     .type = FIELD_DURATION,
     .dflt = "30m",
     POLICY(deadlines.wait_ms),
     .doc = "any wait that has no other"},
    {.name = NULL},
};

static const struct field precopy_fields[] = {
    {.name = "interval",
     .type = FIELD_DURATION,
     .dflt = "60m",
     POLICY(precopy.interval_ms),
     .doc = "from one generation to the next"},
    {.name = "maxGenerations",
     .type = FIELD_INT,
     .min = 1,
     POLICY(precopy.max_generations),
     .doc = "then wait for the cutover"},
    {.name = "maxSnapshots",
     .type = FIELD_INT,
     .dflt = "28",
     .min = 1,
     .honour = NO_EFFECT,
     .why = "libvirt holds one point in time, and no snapshot",
     .doc = "snapshots a vm may have in all"},
    {.name = "quiesce",
     .type = FIELD_WORD,
     .words = quiesces,
     .dflt = "try",
     .honour = NOT_YET,
     .matters = matters_quiesce,
     .why = "no effect unless it is `require` in a warm plan: what is "
	    "converted is copied with the source off",
     .doc = "ask the guest to settle its file systems"},
    {.name = "foreignSnapshots",
     .type = FIELD_WORD,
     .words = snapshot_words,
     .dflt = "fail",
     POLICY(precopy.foreign),
     .doc = "of a warm plan: while another's backup runs a generation fails, "
	    "and is tried again; with `wait` it waits, at most "
	    "`deadlines.wait`; another's snapshots fail none; with `full` a "
	    "disk on which one was put since is compared whole, though bitmaps "
	    "go with these; `ignore` does what `fail` does"},
    {.name = NULL},
};

static const char *const fences[] = {"none", "rename", "disconnect-nics", NULL};
static const char *const gates[] = {"none", "manual", NULL};

static const struct field window_fields[] = {
    {.name = "from",
     .type = FIELD_STRING,
     .at = AT(struct cutover_time, from),
     .doc = "time of day, quoted: `\"22:00\"`, without it midnight; or a time "
	    "that comes once: `2026-12-24T22:00:00+01:00`"},
    {.name = "to",
     .type = FIELD_STRING,
     .at = AT(struct cutover_time, to),
     .doc = "its end, written likewise; a time of day before `from` is on the "
	    "next day; without it midnight"},
    {.name = "days",
     .type = FIELD_LIST,
     .item = &week_day,
     LIST_AT(struct cutover_time, days, ndays),
     .doc = "`sun` to `sat`, on which it begins; without it all"},
    {.name = "timeZone",
     .type = FIELD_STRING,
     .at = AT(struct cutover_time, zone),
     .doc = "of times of day: `Europe/Berlin`, `+01:00`, `UTC`; without it the "
	    "run's own"},
    {.name = NULL},
};

static const struct field window_item = {
    .type = FIELD_OBJECT,
    .sub = window_fields,
    .pos_at = AT(struct cutover_time, pos)};

static const struct field cutover_fields[] = {
    {.name = "maxDowntime",
     .type = FIELD_DURATION,
     POLICY(cutover.max_downtime_ms),
     .doc = "of a warm plan: the source is not stopped when it would be down "
	    "for longer, see below"},
    {.name = "window",
     .type = FIELD_LIST,
     .item = &window_item,
     .dflt = "[]",
     LIST_AT(struct run_policy, cutover.window, cutover.nwindow),
     .doc = "vms are cut over in any of these times only, see below; without "
	    "any at all times"},
    {.name = "backoutBy",
     .type = FIELD_DURATION,
     POLICY(cutover.backout_ms),
     .doc = "not committed so long after the source was stopped: it is "
	    "given back, see below"},
    {.name = "gate",
     .type = FIELD_WORD,
     .words = gates,
     .dflt = "none",
     POLICY(cutover.gate),
     .doc = "manual: only once `palletjack cutover` was said"},
    {.name = "hardPowerOff",
     .type = FIELD_WORD,
     .words = power_offs,
     .dflt = "never",
     POLICY(cutover.hard_power_off),
     .doc = "when the guest does not go down by itself within "
	    "`deadlines.shutdown`"},
    {.name = "fence",
     .type = FIELD_WORD,
     .words = fences,
     .dflt = "none",
     POLICY(cutover.fence),
     .doc = "how a source that was cut over is kept from being started, beside "
	    "its autostart being off"},
    {.name = NULL},
};

static const struct field checkpoint_fields[] = {
    {.name = "every",
     .type = FIELD_DURATION,
     .dflt = "5s",
     POLICY(checkpoint.every_ms),
     .doc = "at least so often"},
    {.name = "bytes",
     .type = FIELD_QUANTITY,
     .dflt = "1Gi",
     POLICY(checkpoint.bytes),
     .doc = "and after so much data"},
    {.name = NULL},
};

static const struct field probe_fields[] = {
    {.name = "serial",
     .type = FIELD_STRING,
     POLICY(boot_probe.serial),
     .doc = "an extended regular expression to see on the serial console"},
    {.name = "agent",
     .type = FIELD_BOOL,
     .dflt = "false",
     POLICY(boot_probe.agent),
     .doc = "the QEMU guest agent has to answer"},
    {.name = "script",
     .type = FIELD_STRING,
     POLICY(boot_probe.script_name),
     .doc = "a Script of the policy's namespace that looks at the vm, see "
	    "lua/API.md"},
    {.name = "inconclusive",
     .type = FIELD_WORD,
     .words = inconclusives,
     .dflt = "hold",
     POLICY(boot_probe.inconclusive),
     .doc = "what to do when the test shows neither"},
    {.name = NULL},
};

static const struct field wave_text = {.type = FIELD_STRING, .at = 1};

static const struct field wave_fields[] = {
    {.name = "name",
     .type = FIELD_STRING,
     .required = true,
     .at = AT(struct wave, name),
     .doc = "what others name in `after`"},
    {.name = "vms",
     .type = FIELD_LIST,
     .item = &wave_text,
     .required = true,
     LIST_AT(struct wave, vms, nvms),
     .doc = "vms by name or id; a vm is in one wave at most"},
    {.name = "after",
     .type = FIELD_LIST,
     .item = &wave_text,
     LIST_AT(struct wave, after, nafter),
     .doc = "waves that must have ended before any vm of it is begun"},
    {.name = "atomic",
     .type = FIELD_BOOL,
     .dflt = "false",
     .at = AT(struct wave, atomic),
     .doc = "all of it is cut over, or nothing"},
    {.name = "maxFailures",
     .type = FIELD_INT,
     .at = AT(struct wave, max_failures),
     .doc = "no more vms of it, or of waves after it, are begun when more "
	    "have failed"},
    {.name = "gate",
     .type = FIELD_WORD,
     .words = gates,
     .dflt = "none",
     .at = AT(struct wave, gate),
     .doc = "manual: its vms are cut over only once `palletjack cutover` was "
	    "said"},
    {.name = NULL},
};

static const struct field policy_hook_fields[] = {
    {.name = "before", .type = FIELD_STRING, .doc = "a stage"},
    {.name = "after", .type = FIELD_STRING, .doc = "or a stage"},
    {.name = "script",
     .type = FIELD_STRING,
     .required = true,
     .doc = "a Script"},
    {.name = "onFailure",
     .type = FIELD_WORD,
     .words = hook_failures,
     .doc = "what its failure means"},
    {.name = NULL},
};

static const struct field silence_fields[] = {
    {.name = "id",
     .type = FIELD_STRING,
     .required = true,
     .doc = "the type of finding"},
    {.name = "reason",
     .type = FIELD_STRING,
     .required = true,
     .doc = "why it does not matter"},
    {.name = NULL},
};

static const struct field wave_item = {
    .type = FIELD_OBJECT, .sub = wave_fields, .pos_at = AT(struct wave, pos)};
static const struct field policy_hook_item = {.type = FIELD_OBJECT,
					      .sub = policy_hook_fields};
static const struct field silence_item = {.type = FIELD_OBJECT,
					  .sub = silence_fields};
static const struct field waive_item = {.type = FIELD_STRING, .at = 1};

#define GROUP(group_name, fields) \
	.name = group_name, .type = FIELD_OBJECT, .sub = fields, .dflt = "{}"

static const struct field policy_spec[] = {
    {GROUP("limits", limits_fields), .doc = "how much runs at once"},
    {GROUP("retry", retry_fields), .doc = "what may work later is tried again"},
    {GROUP("deadlines", deadline_fields), .doc = "how long things may take"},
    {GROUP("precopy", precopy_fields), .doc = "generations of warm plans"},
    {GROUP("cutover", cutover_fields), .doc = "stopping the source"},
    {.name = "proof",
     .type = FIELD_WORD,
     .words = proofs,
     .dflt = "sha256",
     POLICY(proof),
     .doc = "digests kept of every block; `none` only with `verify: none`"},
    {GROUP("checkpoint", checkpoint_fields),
     .doc = "how much copying a crash may cost"},
    {.name = "verify",
     .type = FIELD_WORD,
     .words = verifies,
     .dflt = "full",
     POLICY(verify),
     .doc = "how much of the target is read back; `changed`: only what was "
	    "copied since it was last read back without a difference, of a "
	    "first copy all"},
    {.name = "verifySample",
     .type = FIELD_STRING,
     .dflt = "10%",
     POLICY(verify_sample),
     .doc = "with `verify: sample`: a share of the blocks (`10%`), or a "
	    "confidence and the number of bad blocks it is for (`99%:20`)"},
    {.name = "bootTest",
     .type = FIELD_WORD,
     .words = boot_tests,
     .dflt = "off",
     POLICY(boot_test),
     .doc = "boot a throw-away copy of the converted vm before the commit; of "
	    "a warm plan also of each generation, see below"},
    {GROUP("bootProbe", probe_fields),
     .doc = "what a boot test looks for: all that is set"},
    {.name = "onFailure",
     .type = FIELD_WORD,
     .words = failures,
     .dflt = "restart-source",
     POLICY(on_failure),
     .doc = "what a failure behind `cutover` leads to, see below"},
    {.name = "waves",
     .type = FIELD_LIST,
     .item = &wave_item,
     .dflt = "[]",
     LIST_AT(struct run_policy, waves, nwaves),
     .doc = "which vms go first, see below"},
    {.name = "hooks",
     .type = FIELD_LIST,
     .item = &policy_hook_item,
     .dflt = "[]",
     LATER("hooks of the plan's vms are run"),
     .doc = "scripts around any stage"},
    {.name = "rules",
     .type = FIELD_LIST,
     .item = &item_string,
     .dflt = "[]",
     LATER("only built-in checks are made"),
     .doc = "Scripts that yield findings"},
    {.name = "silence",
     .type = FIELD_LIST,
     .item = &silence_item,
     .dflt = "[]",
     LATER("all findings count"),
     .doc = "findings that shall not count"},
    {.name = "transform",
     .type = FIELD_STRING,
     LATER("the vm gets the shape the maps give it"),
     .doc = "a Script that changes the target's shape"},
    {.name = "waive",
     .type = FIELD_LIST,
     .item = &waive_item,
     .dflt = "[]",
     LIST_AT(struct run_policy, waive, nwaive),
     .doc = "paths of fields whose not being honoured is accepted"},
    {.name = NULL},
};

const struct field table_run_policy[] = {
    FIELDS_TOP("`" API_PALLETJACK "`", "`RunPolicy`"),
    {GROUP("spec", policy_spec), .doc = "what is asked for"},
    {.name = NULL},
};
