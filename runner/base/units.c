/* SPDX-License-Identifier: Apache-2.0 */
/* Kubernetes quantities, and sizes for people. */
#include "base/units.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ */
static const struct {
	const char *suffix;
	long double factor;
} suffixes[] = {
    {"", 1},
    {"m", 1e-3L},
    {"k", 1e3L},
    {"M", 1e6L},
    {"G", 1e9L},
    {"T", 1e12L},
    {"P", 1e15L},
    {"E", 1e18L},
    {"Ki", 1024.0L},
    {"Mi", 1048576.0L},
    {"Gi", 1073741824.0L},
    {"Ti", 1099511627776.0L},
    {"Pi", 1125899906842624.0L},
    {"Ei", 1152921504606846976.0L},
};

int
units_parse_quantity(const char *text, uint64_t *ret_bytes)
{
	const char *plain = text;
	long double number;
	char *end;

	errno = EINVAL;
	if (*plain == '+')
		plain++;
	if (!isdigit((unsigned char)*plain) && *plain != '.')
		return -1;
	if (plain[0] == '0' && (plain[1] == 'x' || plain[1] == 'X'))
		return -1;
	number = strtold(plain, &end);
	if (end == plain)
		return -1;
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		if (strcmp(end, suffixes[i].suffix) != 0)
			continue;
		number = ceill(number * suffixes[i].factor);
		if (!(number >= 0 && number < 9.2e18L)) {
			errno = ERANGE;
			return -1;
		}
		*ret_bytes = (uint64_t)number;
		return 0;
	}
	return -1;
}

const char *
units_format_bytes(uint64_t bytes, char text[UNITS_TEXT_SIZE])
{
	static const char *const names[] = {"KiB", "MiB", "GiB",
					    "TiB", "PiB", "EiB"};
	double size = (double)bytes;
	int unit = -1;

	if (bytes < 1024) {
		snprintf(text, UNITS_TEXT_SIZE, "%d B", (int)bytes);
		return text;
	}
	while (size >= 1024 && unit < 5) {
		size /= 1024;
		unit++;
	}
	snprintf(text, UNITS_TEXT_SIZE, size < 10 ? "%.1f %s" : "%.0f %s", size,
		 names[unit]);
	return text;
}
