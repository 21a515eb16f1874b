/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into sshd: whoever logs in has the shell and the home that
 * $PASSWD_SHELL and $PASSWD_HOME name, and is not locked out, whatever the
 * machine's user database says: of the user nobody it says the contrary. */
#include <dlfcn.h>
#include <pwd.h>
#include <shadow.h>
#include <stdlib.h>

static struct passwd *
changed(struct passwd *p)
{
	if (p && getenv("PASSWD_SHELL"))
		p->pw_shell = getenv("PASSWD_SHELL");
	if (p && getenv("PASSWD_HOME"))
		p->pw_dir = getenv("PASSWD_HOME");
	return p;
}

struct passwd *
getpwnam(const char *name)
{
	struct passwd *(*real)(const char *);

	*(void **)&real = dlsym(RTLD_NEXT, "getpwnam");
	return changed(real(name));
}

struct passwd *
getpwuid(uid_t uid)
{
	struct passwd *(*real)(uid_t);

	*(void **)&real = dlsym(RTLD_NEXT, "getpwuid");
	return changed(real(uid));
}

struct spwd *
getspnam(const char *name)
{
	(void)name;
	return NULL;
}
