/* SPDX-License-Identifier: Apache-2.0 */
/* Which family a guest's operating system belongs to. */
#include "stages/source/ovf.h"

#include <stdlib.h>
#include <string.h>

static const char *const linux_words[] = {
    "linux",  "debian", "ubuntu",   "rhel",	"redhat",  "red hat", "centos",
    "fedora", "sles",	"suse",	    "rocky",	"gentoo",  "photon",  "coreos",
    "alma",   "amazon", "mandrake", "mandriva", "asianux",
};

/* CIM_OperatingSystem.OSType */
static const unsigned char linux_numbers[] = {
    36, 79, 80, 82, 83, 84, 85,	 86,  89,  90,	91,  93,
    94, 95, 96, 97, 98, 99, 100, 101, 106, 107, 108, 109,
};
static const unsigned char windows_numbers[] = {
    15, 16, 17,	 18,  19,  58,	63,  67,  69,  70,  71,	 72,  73,  74,	75,
    76, 77, 103, 104, 105, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120,
};

static bool
is_listed(const unsigned char *list, size_t n, unsigned long number)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == number)
			return true;
	return false;
}

const char *
ovf_os_family(const char *cim, const char *word)
{
	unsigned long number = strtoul(cim, NULL, 10);

	if (!strncasecmp(word, "win", 3) || strcasestr(word, "windows"))
		return "windows";
	for (size_t i = 0; i < sizeof(linux_words) / sizeof(*linux_words); i++)
		if (strcasestr(word, linux_words[i]))
			return "linux";
	if (is_listed(linux_numbers, sizeof(linux_numbers), number))
		return "linux";
	if (is_listed(windows_numbers, sizeof(windows_numbers), number))
		return "windows";
	/* 0 is unknown, 1 is other */
	return number > 1 || (*word && number == 0) ? "other" : "";
}
