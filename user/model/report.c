// SPDX-License-Identifier: BSD-2-Clause
#include "model/report.h"

const double site_age_seconds[SITE_AGES] = {1, 10, 60, 600};
const char *const site_survival_names[SITE_AGES] = {"survival_1s", "survival_10s", "survival_1m",
						    "survival_10m"};
