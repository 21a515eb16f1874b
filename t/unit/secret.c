/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets: decoded on demand, refused when encrypted, and never shown. */
#include "t/unit/manifest.h"

#include <unistd.h>

#define HEAD "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"

static const struct secret *
first_secret(const struct reading *r)
{
	return (const struct secret *)r->m->objects[0];
}

static void
test_values(void)
{
	CLEANUP(reading_done) struct reading r;
	CLEANUP(buf_done) struct buf value = {0};

	read_text(&r,
		  HEAD "data:\n  user: YWRtaW4=\n  password: aHVudGVyMg==\n"
		       "  folded: |\n    YWRt\n    aW4=\n  none: ''\n"
		       "stringData: {user: root}\n",
		  false);
	is_str(r.text.data, "", "without findings");
	is_int(secret_value(first_secret(&r), "password", &value), 0, "found");
	is_str(value.data, "hunter2", "decoded");
	buf_reset(&value);
	secret_value(first_secret(&r), "user", &value);
	is_str(value.data, "root", "stringData wins");
	buf_reset(&value);
	secret_value(first_secret(&r), "folded", &value);
	is_str(value.data, "admin", "white space does not matter");
	is_int(secret_value(first_secret(&r), "gone", &value), -1,
	       "a key that is not there");
	ok(!first_secret(&r)->o.spec, "scripts see no spec");
}

static const struct {
	const char *text, *want;
} wrong[] = {
    {"data: {password: hunter2}\n",
     "Error FieldNotValid m.yaml:4:18: Secret default/s: data.password is "
     "not valid base64\n"},
    {"data: {password: 12345}\n",
     "data.password must be a string, not a number; quote it\n"},
    {"stringData: {password: 12345}\n",
     "stringData.password must be a string, not a number; quote it\n"},
    {"data: {password: 'ENC[AES256_GCM,data:hunter2]'}\n",
     "data.password is encrypted (SOPS); decrypt the file before it is given "
     "to palletjack\n"},
    {"stringData: {password: 'ENC[AES256_GCM,data:hunter2]'}\n",
     "stringData.password is encrypted (SOPS)"},
    {"stringData: {password: 'ENC[AES256_GCM,data:hunter2]'}\n"
     "sops: {version: 3.8.1}\n",
     "Error Encrypted m.yaml:5:7: this Secret is encrypted (SOPS); decrypt "
     "the file before it is given to palletjack\n"},
    {"data: {password: [hunter2]}\n", "must be a string, not a list"},
    {"data: hunter2\n", "data must be a map\n"},
};

static void
test_wrong(void)
{
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		CLEANUP(mem_freep)
		char *text = mem_printf("%s%s", HEAD, wrong[i].text);
		CLEANUP(mem_freep)
		char *name =
		    mem_strndup(wrong[i].text, strcspn(wrong[i].text, "\n"));
		CLEANUP(reading_done) struct reading r;

		read_text(&r, text, false);
		like(r.text.data, wrong[i].want, name);
		ok(!strstr(r.text.data, "hunter2") &&
		       !strstr(r.text.data, "12345"),
		   "the value is not shown");
	}
}

static void
test_endpoint(void)
{
	CLEANUP(reading_done) struct reading r;
	const struct endpoint *near, *far, *gone;

	read_text(&r,
		  HEAD "---\napiVersion: v1\nkind: Secret\n"
		       "metadata: {name: s, namespace: far}\n"
		       "---\napiVersion: palletjack.io/v1alpha1\n"
		       "kind: Endpoint\nmetadata: {name: a}\n"
		       "spec: {type: fake, secret: {name: s}}\n"
		       "---\napiVersion: palletjack.io/v1alpha1\n"
		       "kind: Endpoint\nmetadata: {name: b}\n"
		       "spec: {type: fake, secret: {name: s, namespace: far}}\n"
		       "---\napiVersion: palletjack.io/v1alpha1\n"
		       "kind: Endpoint\nmetadata: {name: c}\n"
		       "spec: {type: fake, secret: {name: gone}}\n",
		  false);
	ok(!strstr(r.text.data, "Error") && !strstr(r.text.data, "Critical"),
	   "a Secret may come from elsewhere");
	near = (const struct endpoint *)r.m->objects[2];
	far = (const struct endpoint *)r.m->objects[3];
	gone = (const struct endpoint *)r.m->objects[4];
	is_str(near->secret->o.namespace, "default", "of the same namespace");
	is_str(far->secret->o.namespace, "far", "of another namespace");
	ok(!gone->secret && !strcmp(gone->secret_ref.name, "gone"),
	   "one that is not in the manifest");
}

int
main(void)
{
	if (chdir(tap_dir()) < 0)
		return 1;
	test_values();
	test_wrong();
	test_endpoint();
	return tap_done();
}
