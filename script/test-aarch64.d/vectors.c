/* Keeps known values in all vector registers for as long as it lives, over and over,
   and ends with 1 when one of them has changed: the scalable ones where the processor
   has them, with what the plain ones do not hold. Calls nothing meanwhile. */
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

#define LARGEST 256

static unsigned char given[32 * LARGEST], found[32 * LARGEST];

static void plain(void) {
  __asm__ volatile(
      "mov x9, %0\n"
      "ld1 {v0.16b-v3.16b}, [x9], #64\n ld1 {v4.16b-v7.16b}, [x9], #64\n"
      "ld1 {v8.16b-v11.16b}, [x9], #64\n ld1 {v12.16b-v15.16b}, [x9], #64\n"
      "ld1 {v16.16b-v19.16b}, [x9], #64\n ld1 {v20.16b-v23.16b}, [x9], #64\n"
      "ld1 {v24.16b-v27.16b}, [x9], #64\n ld1 {v28.16b-v31.16b}, [x9]\n"
      "movz x10, #0x40, lsl #16\n"
      "1: subs x10, x10, #1\n b.ne 1b\n"
      "mov x9, %1\n"
      "st1 {v0.16b-v3.16b}, [x9], #64\n st1 {v4.16b-v7.16b}, [x9], #64\n"
      "st1 {v8.16b-v11.16b}, [x9], #64\n st1 {v12.16b-v15.16b}, [x9], #64\n"
      "st1 {v16.16b-v19.16b}, [x9], #64\n st1 {v20.16b-v23.16b}, [x9], #64\n"
      "st1 {v24.16b-v27.16b}, [x9], #64\n st1 {v28.16b-v31.16b}, [x9]\n"
      :
      : "r"(given), "r"(found)
      : "x9", "x10", "cc", "memory", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8",
        "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20",
        "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31");
}

#define ALL(OP)                                                                           \
  OP(0) OP(1) OP(2) OP(3) OP(4) OP(5) OP(6) OP(7) OP(8) OP(9) OP(10) OP(11) OP(12) OP(13) \
  OP(14) OP(15) OP(16) OP(17) OP(18) OP(19) OP(20) OP(21) OP(22) OP(23) OP(24) OP(25)     \
  OP(26) OP(27) OP(28) OP(29) OP(30) OP(31)
#define LOAD(N) "ldr z" #N ", [x9, #" #N ", mul vl]\n"
#define STORE(N) "str z" #N ", [x9, #" #N ", mul vl]\n"

static void scalable(void) {
  __asm__ volatile(
      ".arch armv8-a+sve\n"
      "mov x9, %0\n" ALL(LOAD)
      "movz x10, #0x40, lsl #16\n"
      "1: subs x10, x10, #1\n b.ne 1b\n"
      "mov x9, %1\n" ALL(STORE)
      ".arch armv8-a\n"
      :
      : "r"(given), "r"(found)
      : "x9", "x10", "cc", "memory", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8",
        "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20",
        "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31");
}

int main(void) {
  int has_scalable = (getauxval(AT_HWCAP) & HWCAP_SVE) != 0;
  unsigned long bytes = 16;
  if (has_scalable)
    __asm__ volatile(".arch armv8-a+sve\n rdvl %0, #1\n .arch armv8-a\n" : "=r"(bytes));
  for (unsigned i = 0; i < sizeof given; i++)
    given[i] = i * 7 + i / 256 + 1;
  printf("%lu\n", bytes);
  fflush(stdout);
  for (;;) {
    memset(found, 0, sizeof found);
    has_scalable ? scalable() : plain();
    if (memcmp(given, found, 32 * bytes) != 0) {
      printf("changed\n");
      return 1;
    }
  }
}
