/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers that a seed repeats: set `dice` first. */
#ifndef T_DICE_H
#define T_DICE_H

#include <math.h>
#include <stdint.h>

static uint64_t dice;

static inline double
uniform(double low, double high)
{
	uint64_t z = dice += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return low + (high - low) * (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/* Every size of it equally likely: 1 to 10 as often as 10 to 100. */
static inline double
any_size(double low, double high)
{
	return exp(uniform(log(low), log(high)));
}

static inline double
normal(void)
{
	double radius = sqrt(-2 * log(uniform(1e-12, 1)));

	return radius * cos(uniform(0, 2 * M_PI));
}

static inline double
noise(double sigma)
{
	return exp(sigma * normal());
}

#endif
