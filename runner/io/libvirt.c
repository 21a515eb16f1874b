/* SPDX-License-Identifier: Apache-2.0 */
/* The one home of libvirt. */
#include "io/libvirt.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "io/libvirt_calls.h"
#include "io/libvirt_own.h"
#include "io/ssh.h"

#define CONNECT_DEADLINE_MS 60000

/* libvirt's own types stand behind ours. */
static virConnectPtr
connection(struct virt *v)
{
	return (virConnectPtr)v;
}

static virDomainPtr
domain(struct virt_domain *d)
{
	return (virDomainPtr)d;
}

/* --- errors ------------------------------------------------------------- */

static void
say_nothing(void *arg, virErrorPtr e)
{
	(void)arg;
	(void)e;
}

/* All others are ERR_FAIL. */
static const struct {
	int code;
	enum err_class class;
	const char *next; /* what to do about it */
} known[] = {
    {VIR_ERR_AUTH_FAILED, ERR_USER, "; look at user and password"},
    {VIR_ERR_AUTH_CANCELLED, ERR_USER,
     "; it wants a user and a password, which the endpoint's secret has to "
     "hold"},
    {VIR_ERR_AUTH_UNAVAILABLE, ERR_USER,
     "; is palletjack's user in the group libvirt?"},
    {VIR_ERR_ACCESS_DENIED, ERR_USER, ""},
    {VIR_ERR_OPERATION_DENIED, ERR_USER, ""},
    {VIR_ERR_NO_DOMAIN, ERR_FAIL, "; it was removed from its host"},
    {VIR_ERR_NO_CONNECT, ERR_RETRY, ""},
    {VIR_ERR_INVALID_CONN, ERR_RETRY, ""},
    {VIR_ERR_RPC, ERR_RETRY, ""},
    {VIR_ERR_SYSTEM_ERROR, ERR_RETRY, ""},
    {VIR_ERR_INTERNAL_ERROR, ERR_RETRY, ""},
    {VIR_ERR_OPERATION_FAILED, ERR_RETRY, ""},
    {VIR_ERR_OPERATION_TIMEOUT, ERR_RETRY, ""},
    {VIR_ERR_AGENT_UNRESPONSIVE, ERR_RETRY, ""},
};

int
virt_err(struct err *err, const char *fmt, ...)
{
	const virError *e = vir.GetLastError();
	const char *text = e && e->message ? e->message : "no reason given";
	enum err_class class = ERR_FAIL;
	const char *next = "";
	CLEANUP(mem_freep) char *what = NULL;
	va_list ap;

	for (size_t i = 0; e && i < sizeof(known) / sizeof(*known); i++)
		if (known[i].code == e->code) {
			class = known[i].class;
			next = known[i].next;
		}
	va_start(ap, fmt);
	what = mem_vprintf(fmt, ap);
	va_end(ap);
	return err_set(err, class, "%s: libvirt says: %s%s", what, text, next);
}

/* The daemon's socket: not there, nobody behind it, or not for us. */
static int
connect_err(struct err *err, const char *uri)
{
	const virError *e = vir.GetLastError();
	int sys = e && e->code == VIR_ERR_SYSTEM_ERROR ? e->int1 : 0;
	struct err said;

	(void)virt_err(&said, "connecting to '%s'", uri);
	*err = said;
	if (strstr(uri, "+ssh:"))
		return ssh_explain(NULL, err);
	if (sys == ENOENT || sys == ECONNREFUSED)
		return err_set(err, ERR_RETRY, "%.800s%s", said.text,
			       virt_is_local(uri)
				   ? "; is its libvirtd running? For a session "
				     "start it with 'libvirtd --daemon'"
				   : "; does a libvirtd listen there, and has "
				     "this machine the certificates that its "
				     "URI needs?");
	if (sys == EACCES || sys == EPERM)
		return err_set(err, ERR_USER,
			       "%.800s; is palletjack's user in the group "
			       "libvirt?",
			       said.text);
	return -1;
}

/* --- connections -------------------------------------------------------- */

static int
answer(virConnectCredentialPtr wanted, unsigned n, void *arg)
{
	const struct virt_login *login = arg;

	for (unsigned i = 0; i < n; i++) {
		bool secret = wanted[i].type == VIR_CRED_PASSPHRASE ||
			      wanted[i].type == VIR_CRED_NOECHOPROMPT;
		const char *text = secret ? login->password : login->user;

		if (!text)
			return -1;
		/* libvirt frees it */
		wanted[i].result = mem_strdup(text);
		wanted[i].resultlen = (unsigned)strlen(text);
	}
	return 0;
}

/* What a thread needs that may outlive its waiter: of the two it is his who is
 * the second to let go. */
struct opening {
	atomic_bool let_go;
	char *uri;
	char *user, *password;
	virConnectPtr conn;
	struct err err;
};

static void
opening_free(struct opening *o)
{
	free(o->uri);
	free(o->user);
	if (o->password)
		explicit_bzero(o->password, strlen(o->password));
	free(o->password);
	free(o);
}

static struct timespec
in_ms(int ms)
{
	struct timespec t;
	long ns;

	clock_gettime(CLOCK_REALTIME, &t);
	ns = t.tv_nsec + ms % 1000 * 1000000L;
	t.tv_sec += ms / 1000 + ns / 1000000000;
	t.tv_nsec = ns % 1000000000;
	return t;
}

static void *
open_it(void *arg)
{
	static int types[] = {VIR_CRED_AUTHNAME, VIR_CRED_USERNAME,
			      VIR_CRED_PASSPHRASE, VIR_CRED_NOECHOPROMPT};
	struct opening *o = arg;
	struct virt_login login = {o->user, o->password};
	virConnectAuth auth = {types, sizeof(types) / sizeof(*types), answer,
			       &login};

	o->conn = vir.ConnectOpenAuth(o->uri, &auth, 0);
	if (!o->conn)
		(void)connect_err(&o->err, o->uri);
	if (atomic_exchange(&o->let_go, true)) {
		if (o->conn)
			vir.ConnectClose(o->conn);
		opening_free(o);
	}
	return NULL;
}

/* Has it ended by then?  libvirt knows no deadline: a thread that is given up
 * ends with its step, if not before. */
static bool
wait_for(pthread_t thread, struct opening *o, int ms)
{
	struct timespec until = in_ms(ms);

	if (pthread_timedjoin_np(thread, NULL, &until) == 0)
		return true;
	if (!atomic_exchange(&o->let_go, true)) {
		pthread_detach(thread);
		return false;
	}
	pthread_join(thread, NULL);
	return true;
}

/* ssh must not ask on a terminal that nobody looks at. */
static char *
quiet_uri(const char *uri)
{
	const char *plus = strchr(uri, '+'), *colon = strchr(uri, ':');

	if (!plus || !colon || plus > colon || strstr(uri, "no_tty=") ||
	    (strncmp(plus, "+ssh:", 5) != 0 &&
	     strncmp(plus, "+libssh", 7) != 0))
		return mem_strdup(uri);
	return mem_printf("%s%cno_tty=1", uri, strchr(uri, '?') ? '&' : '?');
}

int
virt_open(const char *uri, const struct virt_login *login, int deadline_ms,
	  struct virt **ret, struct err *err)
{
	int wait_ms = deadline_ms ? deadline_ms : CONNECT_DEADLINE_MS;
	struct opening *o;
	pthread_t thread;
	int rc;

	if (libvirt_load(err) < 0)
		return -1;
	setenv("LIBVIRT_AUTOSTART", "0", 1);
	vir.SetErrorFunc(NULL, say_nothing);
	o = mem_new(sizeof(*o));
	o->uri = quiet_uri(uri);
	o->user = mem_strdup(login ? login->user : NULL);
	o->password = mem_strdup(login ? login->password : NULL);
	rc = vir.Initialize() < 0 ? EAGAIN
				  : pthread_create(&thread, NULL, open_it, o);
	if (rc) {
		opening_free(o);
		return err_set(err, ERR_RETRY, "cannot begin to connect: %s",
			       strerror(rc));
	}
	if (!wait_for(thread, o, wait_ms))
		return err_set(err, ERR_RETRY,
			       "connecting to '%s': no answer within %d s", uri,
			       wait_ms / 1000);
	if (o->conn)
		*ret = (struct virt *)o->conn;
	else
		*err = o->err;
	rc = o->conn ? 0 : -1;
	opening_free(o);
	return rc;
}

void
virt_close(struct virt *v)
{
	if (v)
		vir.ConnectClose(connection(v));
}

/* "qemu:///system", "qemu+unix:///session": no server and no other way. */
bool
virt_is_local(const char *uri)
{
	size_t scheme = strcspn(uri, ":"), plus = strcspn(uri, "+");

	if (strncmp(uri + scheme, ":///", 4) != 0)
		return false;
	return plus > scheme ||
	       (scheme - plus == 5 && !strncmp(uri + plus, "+unix", 5));
}

char *
virt_hostname(struct virt *v)
{
	char *name = vir.ConnectGetHostname(connection(v));

	return name ? name : mem_strdup("");
}

/* --- networks, pools, volumes ------------------------------------------- */

static bool
has_none_of_them(void)
{
	return vir.GetLastErrorCode() == VIR_ERR_NO_SUPPORT;
}

static void
add_name(struct virt_names *names, const char *uuid, const char *name)
{
	struct virt_named *one = vec_push(&names->all);

	one->uuid = mem_strdup(uuid);
	one->name = mem_strdup(name);
}

int
virt_networks(struct virt *v, struct virt_names *ret, struct err *err)
{
	char uuid[VIR_UUID_STRING_BUFLEN];
	virNetworkPtr *list;
	int n = vir.ConnectListAllNetworks(connection(v), &list, 0);

	if (n < 0)
		return has_none_of_them()
			   ? 0
			   : virt_err(err, "listing the networks");
	for (int i = 0; i < n; i++) {
		if (vir.NetworkGetUUIDString(list[i], uuid) == 0)
			add_name(ret, uuid, vir.NetworkGetName(list[i]));
		vir.NetworkFree(list[i]);
	}
	free(list);
	return 0;
}

int
virt_pools(struct virt *v, struct virt_names *ret, struct err *err)
{
	char uuid[VIR_UUID_STRING_BUFLEN];
	virStoragePoolPtr *list;
	int n = vir.ConnectListAllStoragePools(connection(v), &list, 0);

	if (n < 0)
		return has_none_of_them()
			   ? 0
			   : virt_err(err, "listing the storage pools");
	for (int i = 0; i < n; i++) {
		if (vir.StoragePoolGetUUIDString(list[i], uuid) == 0)
			add_name(ret, uuid, vir.StoragePoolGetName(list[i]));
		vir.StoragePoolFree(list[i]);
	}
	free(list);
	return 0;
}

void
virt_names_done(struct virt_names *n)
{
	for (size_t i = 0; i < n->all.n; i++) {
		free(n->all.v[i].uuid);
		free(n->all.v[i].name);
	}
	vec_done(&n->all);
}

/* Takes the reference to the volume. */
static int
tell_volume(virStorageVolPtr vol, struct virt_volume *ret, struct err *err)
{
	virStoragePoolPtr pool = vir.StoragePoolLookupByVolume(vol);
	char uuid[VIR_UUID_STRING_BUFLEN];
	int rc = -1;

	memset(ret, 0, sizeof(*ret));
	if (pool && vir.StoragePoolGetUUIDString(pool, uuid) == 0 &&
	    (ret->path = vir.StorageVolGetPath(vol)) &&
	    (ret->xml = vir.StorageVolGetXMLDesc(vol, 0))) {
		ret->pool_uuid = mem_strdup(uuid);
		ret->pool_name = mem_strdup(vir.StoragePoolGetName(pool));
		rc = 0;
	} else {
		(void)virt_err(err, "asking for a volume");
		virt_volume_done(ret);
	}
	if (pool)
		vir.StoragePoolFree(pool);
	vir.StorageVolFree(vol);
	return rc;
}

int
virt_volume_at(struct virt *v, const char *path, struct virt_volume *ret,
	       struct err *err)
{
	virStorageVolPtr vol = vir.StorageVolLookupByPath(connection(v), path);

	memset(ret, 0, sizeof(*ret));
	if (vol)
		return tell_volume(vol, ret, err);
	if (vir.GetLastErrorCode() == VIR_ERR_NO_STORAGE_VOL ||
	    has_none_of_them())
		return 0;
	return virt_err(err, "looking for the pool that holds '%s'", path);
}

int
virt_volume_in(struct virt *v, const char *pool_name, const char *name,
	       struct virt_volume *ret, struct err *err)
{
	virStoragePoolPtr pool =
	    vir.StoragePoolLookupByName(connection(v), pool_name);
	virStorageVolPtr vol =
	    pool ? vir.StorageVolLookupByName(pool, name) : NULL;
	int rc;

	rc = vol ? tell_volume(vol, ret, err)
		 : virt_err(err, "looking for volume '%s' of pool '%s'", name,
			    pool_name);
	if (pool)
		vir.StoragePoolFree(pool);
	return rc;
}

void
virt_volume_done(struct virt_volume *volume)
{
	free(volume->pool_uuid);
	free(volume->pool_name);
	free(volume->path);
	free(volume->xml);
	memset(volume, 0, sizeof(*volume));
}

static const char *
name_of(struct virt_domain *d)
{
	const char *name = vir.DomainGetName(domain(d));

	return name ? name : "?";
}

/* --- domains ------------------------------------------------------------ */

int
virt_domains(struct virt *v, struct virt_domains *ret, struct err *err)
{
	virDomainPtr *list;
	int n = vir.ConnectListAllDomains(connection(v), &list, 0);

	if (n < 0)
		return virt_err(err, "listing the domains");
	for (int i = 0; i < n; i++)
		*vec_push(&ret->all) = (struct virt_domain *)list[i];
	free(list);
	return 0;
}

void
virt_domains_done(struct virt_domains *d)
{
	for (size_t i = 0; i < d->all.n; i++)
		virt_domain_freep(&d->all.v[i]);
	vec_done(&d->all);
}

int
virt_domain_find(struct virt *v, const char *uuid, struct virt_domain **ret,
		 struct err *err)
{
	virDomainPtr d = vir.DomainLookupByUUIDString(connection(v), uuid);

	if (!d)
		return virt_err(err, "looking for the domain");
	*ret = (struct virt_domain *)d;
	return 0;
}

void
virt_domain_freep(struct virt_domain **d)
{
	if (*d)
		vir.DomainFree(domain(*d));
	*d = NULL;
}

int
virt_domain_xml(struct virt_domain *d, bool as_configured, char **ret,
		struct err *err)
{
	const char *name = name_of(d);
	unsigned flags = as_configured ? VIR_DOMAIN_XML_INACTIVE : 0;
	char *xml = vir.DomainGetXMLDesc(domain(d), flags);

	if (!xml)
		return virt_err(err, "reading domain '%s'", name);
	*ret = xml;
	return 0;
}

int
virt_domain_active(struct virt_domain *d, bool *ret, struct err *err)
{
	const char *name = name_of(d);
	int active = vir.DomainIsActive(domain(d));

	if (active < 0)
		return virt_err(err, "asking whether domain '%s' runs", name);
	*ret = active;
	return 0;
}

/* Not every driver has snapshots, saved images or autostart: then there are
 * none. */
static int
count(int n)
{
	return n > 0 ? n : 0;
}

int
virt_domain_state(struct virt_domain *d, struct virt_state *ret,
		  struct err *err)
{
	const char *name = name_of(d);
	int persistent = vir.DomainIsPersistent(domain(d));
	int state, reason, autostart = 0;
	unsigned id;

	memset(ret, 0, sizeof(*ret));
	if (persistent < 0 ||
	    vir.DomainGetState(domain(d), &state, &reason, 0) < 0)
		return virt_err(err, "looking at domain '%s'", name);
	if (virt_domain_active(d, &ret->active, err) < 0)
		return -1;
	if (vir.DomainGetAutostart(domain(d), &autostart) < 0)
		autostart = 0;
	id = vir.DomainGetID(domain(d));
	ret->id = ret->active && id != (unsigned)-1 ? id : 0;
	ret->paused = ret->active && (state == VIR_DOMAIN_PAUSED ||
				      state == VIR_DOMAIN_PMSUSPENDED);
	ret->persistent = persistent;
	ret->autostart = autostart;
	ret->saved = count(vir.DomainHasManagedSaveImage(domain(d), 0));
	ret->nsnapshots = count(vir.DomainSnapshotNum(domain(d), 0));
	ret->name = mem_strdup(vir.DomainGetName(domain(d)));
	return 0;
}

void
virt_state_done(struct virt_state *s)
{
	free(s->name);
	s->name = NULL;
}

int
virt_domain_size(struct virt_domain *d, const char *target,
		 uint64_t *ret_capacity, uint64_t *ret_allocated,
		 struct err *err)
{
	virDomainBlockInfo info;

	if (vir.DomainGetBlockInfo(domain(d), target, &info, 0) < 0)
		return virt_err(err, "asking for the size of disk '%s'",
				target);
	*ret_capacity = info.capacity;
	*ret_allocated = info.allocation;
	return 0;
}

int
virt_domain_shutdown(struct virt_domain *d, struct err *err)
{
	if (vir.DomainShutdown(domain(d)) < 0)
		return virt_err(err, "asking the guest to shut down");
	return 0;
}

int
virt_domain_destroy(struct virt_domain *d, struct err *err)
{
	const char *name = name_of(d);

	if (vir.DomainDestroyFlags(domain(d), VIR_DOMAIN_DESTROY_GRACEFUL) < 0)
		return virt_err(err, "switching domain '%s' off", name);
	return 0;
}

int
virt_domain_start(struct virt_domain *d, bool paused, struct err *err)
{
	const char *name = name_of(d);

	if (vir.DomainCreateWithFlags(domain(d),
				      paused ? VIR_DOMAIN_START_PAUSED : 0) < 0)
		return virt_err(err, "starting domain '%s'", name);
	return 0;
}

int
virt_domain_resume(struct virt_domain *d, struct err *err)
{
	const char *name = name_of(d);

	if (vir.DomainResume(domain(d)) < 0)
		return virt_err(err, "letting domain '%s' run", name);
	return 0;
}
