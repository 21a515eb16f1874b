/* SPDX-License-Identifier: Apache-2.0 */
/* The manifest as C structs: defaults applied, references resolved.
 *
 * Everything below belongs to the manifest's arena and lives until
 * manifest_free.  Meanings and defaults of Forklift's fields are those of its
 * CRDs (forklift.konveyor.io/v1beta1); FORMAT.md lists every key. */
#ifndef MANIFESTS_MODEL_H
#define MANIFESTS_MODEL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "manifests/finding.h"

struct strmap;

/* What every document has. */
struct object {
	const char *kind;
	const char *namespace; /* "default" where metadata has none */
	const char *name;
	struct pos pos;	     /* of the document's first key */
	json_t *labels;	     /* string to string, never NULL */
	json_t *annotations; /* string to string, never NULL */
	json_t *spec;	     /* as written with defaults applied; what scripts
	                         see; for a Secret NULL */
};

/* A reference as written; kind NULL where it names none. */
struct object_ref {
	const char *kind, *namespace, *name; /* name NULL: not set */
	struct pos pos;
};

/* Forklift's inlined Ref: names an object of the source. */
struct source_ref {
	const char *id, *name, *namespace, *type; /* each NULL when not set */
	struct pos pos;
};

struct secret {
	struct object o;
	/* Values stay as written and are decoded only by secret_value. */
	json_t *data;	     /* base64 */
	json_t *string_data; /* plain, wins over data */
};

/* The decoded value of a key, string_data first, added to ret.  -1: there is
 * no such key.  The caller tells redact_add what must not be shown. */
int secret_value(const struct secret *s, const char *key, struct buf *ret);

struct config_map {
	struct object o;
	json_t *data;
};

/* A Provider or an Endpoint. */
struct endpoint {
	struct object o;
	bool is_provider;
	const char *type;
	const char *url; /* as written, "" where there is none */
	/* For types that live in a directory or file (ova, disk, local): url,
	 * or for a Provider the annotation palletjack.io/path; of type fake the
	 * setting `world`, if there is one; relative paths are taken from the
	 * manifest file's directory (stdin: from the working directory).  Else
	 * NULL. */
	const char *path;
	struct object_ref secret_ref;
	const struct secret *secret; /* NULL when there is none */
	json_t *settings;	     /* string to string, never NULL */
};

/* The setting's text, or `fallback`. */
const char *endpoint_setting(const struct endpoint *ep, const char *key,
			     const char *fallback);

/* What it stands for, however it is called: its type and where that is, and
 * for types that hold what their settings say the settings, too.  Caller
 * frees. */
char *endpoint_place(const struct endpoint *ep);
/* Do two namespaces of it hold two vms of one name? */
bool endpoint_has_namespaces(const struct endpoint *ep);

enum network_type { NETWORK_POD, NETWORK_MULTUS, NETWORK_IGNORED };

struct network_map {
	struct object o;
	struct network_row {
		struct source_ref source;
		const char *vlan;
		enum network_type type;
		const char *namespace, *name; /* multus only */
	} * rows;
	size_t nrows;
};

struct storage_map {
	struct object o;
	struct storage_row {
		struct source_ref source;
		const char *storage_class;
		const char *volume_mode, *access_mode; /* NULL when not set */
	} * rows;
	size_t nrows;
};

struct script {
	struct object o;
	const char *lua;   /* the source text, from spec.lua or spec.file */
	const char *chunk; /* what Lua shall call it: "quickstart.yaml/name" or
	                      the file's path */
};

struct hook {
	struct object o;
	const char *image, *playbook, *service_account;
	int64_t deadline_s; /* 0: none */
};

enum hook_step { HOOK_PRE, HOOK_POST };

/* A vm's hook: exactly one of script and hook is set after resolving. */
struct vm_hook {
	enum hook_step step;
	struct object_ref ref;
	const struct script *script;
	const struct hook *hook;
};

enum power { POWER_AUTO, POWER_ON, POWER_OFF };

struct plan_vm {
	struct source_ref ref;
	const char
	    *key; /* the entry's name, else id: names its state directory */
	const char *target_name; /* NULL: derived */
	const char *root_disk;
	enum power target_power; /* the vm's, else the plan's */
	struct vm_hook *hooks;
	size_t nhooks;
	size_t index;		 /* in spec.vms */
	const struct wave *wave; /* of the plan's policy; NULL: in none */
	struct pos pos;
};

enum proof { PROOF_SHA256, PROOF_XXH3, PROOF_NONE };
enum verify_mode { VERIFY_FULL, VERIFY_CHANGED, VERIFY_SAMPLE, VERIFY_NONE };
enum boot_test { BOOT_TEST_OFF, BOOT_TEST_ONCE, BOOT_TEST_EVERY };
/* What a failure behind the source's stop leads to. */
enum on_failure { FAILURE_RESTART_SOURCE, FAILURE_HOLD, FAILURE_ROLLBACK };
/* Of a guest that does not shut down when it is asked to: it stays on and the
 * cutover fails; it is switched off; it is not even asked. */
enum hard_power_off { HARD_NEVER, HARD_FALLBACK, HARD_ALWAYS };
/* How the source is kept from being started beside its target. */
enum foreign { FOREIGN_FAIL, FOREIGN_WAIT, FOREIGN_FULL, FOREIGN_IGNORE };
enum fence { FENCE_NONE, FENCE_RENAME, FENCE_DISCONNECT_NICS };
enum gate { GATE_NONE, GATE_MANUAL };
enum inconclusive { INCONCLUSIVE_HOLD, INCONCLUSIVE_PASS };

/* Vms that are begun, and if they are atomic cut over, together. */
struct wave {
	const char *name;
	const char **vms, **after; /* as written */
	size_t nvms, nafter;
	size_t *after_waves; /* numbers of those that it waits for: nafter */
	bool *known;	     /* by vm: some plan has it */
	bool atomic;
	int max_failures; /* -1: not said */
	enum gate gate;
	size_t number; /* in the policy */
	struct pos pos;
};

/* Other limits at some time of the day. */
struct bandwidth_time {
	const char *from, *to; /* as written: "08:00"; NULL: midnight */
	int from_min, to_min;  /* of the day; to_min is behind from_min */
	const char **days;     /* as written; 0: all of them */
	size_t ndays;
	unsigned on_days;		  /* bit 0: Sunday */
	uint64_t bandwidth, per_endpoint; /* 0: as at other times */
	struct pos pos;
};

/* A time in which vms may be cut over: once, or on days of the week. */
struct cutover_time {
	const char *from, *to; /* as written; NULL: midnight */
	const char *zone;      /* as written; base/zone.h */
	const char **days;     /* as written; 0: all of them */
	size_t ndays;
	unsigned on_days;	/* bit 0: Sunday; 0: once */
	int from_min, to_min;	/* of the day; to_min is behind from_min */
	int64_t from_ms, to_ms; /* wall; of one that comes once */
	struct pos pos;
};

/* Wall milliseconds, from one to before the other; to_ms 0: there is none. */
struct window_span {
	int64_t from_ms, to_ms;
};

enum priority { PRIORITY_NORMAL, PRIORITY_LOW };

/* design: section 4.  Durations in milliseconds, 0 = none. */
struct run_policy {
	struct object o; /* name NULL: the built-in defaults */
	struct {
		int in_flight, disks_per_host, conversions;
		int per_endpoint; /* 0: none */
		/* bytes a second; 0: none */
		uint64_t bandwidth, bandwidth_per_endpoint;
		struct bandwidth_time *bandwidth_by_time;
		size_t nbandwidth_by_time;
		enum priority priority;
	} limits;
	struct {
		int attempts;
		int64_t first_ms, max_ms, total_ms;
		double factor;
	} retry;
	struct {
		int64_t run_ms, vm_ms, hook_ms, shutdown_ms, conversion_ms,
		    boot_test_ms, wait_ms;
		json_t *stage; /* stage name to duration text */
	} deadlines;
	enum proof proof;
	struct {
		int64_t every_ms;
		uint64_t bytes;
	} checkpoint;
	struct {
		int64_t interval_ms;
		int max_generations; /* 0: no limit */
		enum foreign foreign;
	} precopy;
	struct {
		enum gate gate;
		int64_t backout_ms;	     /* 0: never */
		int64_t max_downtime_ms;     /* 0: whatever it takes */
		struct cutover_time *window; /* any of them; 0: always */
		size_t nwindow;
		struct window_asked *asked; /* run_policy_window's own */
		enum hard_power_off hard_power_off;
		enum fence fence;
	} cutover;
	enum verify_mode verify;
	const char *verify_sample; /* see base/sample.h */
	enum boot_test boot_test;
	enum on_failure on_failure;
	struct {
		const char *serial; /* POSIX extended pattern, or NULL */
		bool agent;
		const char *script_name;     /* NULL: none */
		const struct script *script; /* NULL: none */
		enum inconclusive inconclusive;
	} boot_probe;
	struct wave *waves;
	size_t nwaves;
	bool has_plan;	    /* some plan goes by it */
	const char **waive; /* field paths */
	size_t nwaive;
};

/* Is a field we do not honour ("spec.transferNetwork", "spec.vms[3].luks")
 * accepted by spec.waive?  A path there covers what is below it. */
bool run_policy_waives(const struct run_policy *policy, const char *path);

/* Bytes a second at this moment, 0 without a limit: of a run, and of each of
 * its endpoints.  Times of the day are local ones. */
bool run_policy_limits_bandwidth(const struct run_policy *policy);
uint64_t run_policy_bandwidth(const struct run_policy *policy, int64_t wall_ms);
uint64_t run_policy_bandwidth_per_endpoint(const struct run_policy *policy,
					   int64_t wall_ms);

/* The window in which vms may be cut over at this moment or, else, next; where
 * times meet or overlap they are one.  False: none is left.  Only of a policy
 * that has any. */
bool run_policy_window(const struct run_policy *policy, int64_t wall_ms,
		       struct window_span *ret);

struct migration {
	struct object o;
	struct object_ref plan_ref;
	struct source_ref *cancel;
	size_t ncancel;
	int64_t cutover_ms; /* wall; 0: not set */
	struct vm_cutover {
		const char *id; /* of the vm at its source */
		int64_t cutover_ms;
		struct pos pos;
	} * vm_cutovers;
	size_t nvm_cutovers;
	struct asked_index *index; /* plan_vm_asked's own */
};

struct plan {
	struct object o;
	struct object_ref source_ref, target_ref, network_ref, storage_ref;
	const struct endpoint *source, *target;
	const struct network_map *network_map;
	const struct storage_map *storage_map;
	const struct run_policy *policy; /* never NULL */
	const char *target_namespace;
	const char *type; /* "cold", "warm", "live", "conversion" */
	bool archived;
	bool skip_guest_conversion, use_compatibility_mode;
	enum power target_power; /* for vms that do not say */
	struct plan_vm *vms;
	size_t nvms;
	struct strmap *by_key; /* of vms; plan_vm_find */
	const struct migration **migrations;
	size_t nmigrations;
};

struct manifest {
	struct arena *arena;
	struct plan **plans;
	size_t nplans;	    /* those that are meant come first */
	size_t nplans_read; /* and all that there are */
	/* every object read, for `validate` and for references */
	struct object **objects;
	size_t nobjects;
};

struct manifest_opts {
	bool strict; /* unknown fields are errors */
};

/* Reads files, directories (*.yaml, *.yml, *.json, sorted, not recursive) and
 * "-" (stdin), resolves references and checks everything that can be checked
 * without asking an endpoint.  All problems are reported to `findings`.
 *
 * 0: *ret is the manifest (findings may still block).  -1 with ERR_USER: a
 * path cannot be read, or the text is not YAML within our limits; err says
 * file:line:column. */
int manifest_read(const char *const *paths, size_t npaths,
		  const struct manifest_opts *opts, struct findings *findings,
		  struct manifest **ret, struct err *err);
void manifest_free(struct manifest *m); /* NULL is fine */

/* "NS/NAME", or NULL for the only plan.  Not found, or several: ERR_USER. */
int manifest_plan(const struct manifest *m, const char *name,
		  const struct plan **ret, struct err *err);

/* Is the source copied while it runs? */
bool plan_is_warm(const struct plan *p);
const struct plan_vm *plan_vm_find(const struct plan *p, const char *key);

/* What the plan's migrations, taken together, ask for one of its vms. */
struct vm_asked {
	const struct migration *cancelled_by; /* NULL: by none */
	const struct migration *cutover_by;   /* NULL: no time is set */
	int64_t cutover_ms;		      /* wall */
	const struct migration *differs;      /* sets another time, or NULL */
};
/* `id` and `name` are the vm's at its source; NULL when not known yet: then
 * what names it only by that is not seen. */
void plan_vm_asked(const struct plan *p, const struct plan_vm *vm,
		   const char *id, const char *name, struct vm_asked *ret);
/* For the reader: plan_vm_asked needs it of each migration. */
void migration_index(struct migration *m, struct arena *arena);
/* The first hook of that step, or NULL (Forklift honours one per step). */
const struct vm_hook *plan_vm_hook(const struct plan_vm *vm,
				   enum hook_step step);

#endif
