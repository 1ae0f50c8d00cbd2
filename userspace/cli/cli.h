/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: one table of verbs (verbs.c), one file per verb. */
#pragma once

/*
 * Runs the verb that argv names and returns the exit status for main (enum sc_exit; `verify` has
 * its own). Writes answers to standard output and complaints to standard error.
 */
int sc_cli_main(int argc, char **argv);
