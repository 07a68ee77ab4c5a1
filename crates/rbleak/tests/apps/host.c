/* A program that embeds Ruby, for a malloc that is linked in. */
#include <ruby.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    /* Of the archive of an allocator only what is asked for is linked. */
    free(malloc(1));
    ruby_sysinit(&argc, &argv);
    ruby_init();
    ruby_init_loadpath();
    rb_eval_string(argc > 1 ? argv[1] : "sleep");
    return ruby_cleanup(0);
}
