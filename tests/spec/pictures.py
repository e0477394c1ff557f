"""Which row sees which column, drawn by hand from the definition of each sparse mode: '#' visible, '.' hidden.

Every implementation of the rules is held against these pictures, so nothing here is computed.
"""

from __future__ import annotations

from dataclasses import dataclass

UNBOUNDED = 2147483647
COMPRESSED = "compressed"  # the standard 2048 x 2048 triangle, or the 3072 x 2048 one of mode 6
NO_MASK = "none"


@dataclass(frozen=True)
class Picture:
    """One call. Each sequence has its lengths and its picture; the batched layouts have sequences of equal lengths."""

    name: str
    sparse_mode: int
    q_lens: tuple[int, ...]
    kv_lens: tuple[int, ...]
    drawn: tuple[str, ...]  # one per sequence: rows separated by white space; "" if either length is 0
    mask: str | tuple[str, ...] = COMPRESSED  # digits, 1 = hidden: [rows, columns], or one per sequence [B, 1, ...]
    pre_tokens: int = UNBOUNDED
    next_tokens: int = UNBOUNDED
    prefix: tuple[int, ...] | None = None
    tnd: bool = False

    def rows(self, sequence: int) -> list[str]:
        """The rows of one sequence's picture."""
        return self.drawn[sequence].split()


PICTURES = (
    # --- No mask tensor: everything is visible, whatever else is said. ------------------------------------------------
    Picture("no_mask_mode_0_tokens", 0, (3,), (4,), ("#### #### ####",), NO_MASK, pre_tokens=1, next_tokens=0),
    Picture("no_mask_mode_2", 2, (3,), (3,), ("### ### ###",), NO_MASK),
    Picture("no_mask_mode_3", 3, (3,), (2,), ("## ## ##",), NO_MASK),
    Picture("no_mask_mode_4", 4, (2,), (3,), ("### ###",), NO_MASK, pre_tokens=0, next_tokens=0),
    Picture("no_mask_mode_7", 7, (2, 1), (3, 2), ("### ###", "##"), NO_MASK, next_tokens=-1, tnd=True),
    # --- Mode 0: the mask and the window i - pre <= j <= i + next, origin top left. -----------------------------------
    Picture(
        "mode_0_mask_alone",
        0,
        (3,),
        (4,),
        (
            """
            #.##
            ##.#
            .###
            """,
        ),
        """
        0100
        0010
        1000
        """,
    ),
    Picture(
        "mode_0_window_alone",
        0,
        (4,),
        (6,),
        (
            """
            ###...
            ####..
            .####.
            ..####
            """,
        ),
        "000000 000000 000000 000000",
        pre_tokens=1,
        next_tokens=2,
    ),
    Picture(
        "mode_0_window_and_mask",
        0,
        (3,),
        (4,),
        (
            """
            #...
            ##..
            .###
            """,
        ),
        """
        0100
        0010
        1000
        """,
        pre_tokens=1,
        next_tokens=1,
    ),
    Picture(
        "mode_0_more_rows_than_columns",
        0,
        (5,),
        (3,),
        (
            """
            #..
            ##.
            .##
            ..#
            ...
            """,
        ),
        "000 000 000 000 000",
        pre_tokens=1,
        next_tokens=0,
    ),
    Picture(
        "mode_0_window_below_the_diagonal",
        0,
        (4,),
        (4,),
        (
            """
            ....
            #...
            ##..
            .##.
            """,
        ),
        "0000 0000 0000 0000",
        pre_tokens=2,
        next_tokens=-1,
    ),
    Picture(
        "mode_0_window_above_the_diagonal",
        0,
        (3,),
        (5,),
        (
            """
            .###.
            ..###
            ...##
            """,
        ),
        "00000 00000 00000",
        pre_tokens=-1,
        next_tokens=3,
    ),
    Picture(
        "mode_0_mask_per_batch",
        0,
        (2, 2),
        (3, 3),
        (
            """
            #.#
            ###
            """,
            """
            ...
            .##
            """,
        ),
        ("010 000", "111 100"),
    ),
    Picture(
        "mode_0_tnd_mask_of_longest",
        0,
        (2, 3),
        (3, 2),
        (
            """
            #.#
            ##.
            """,
            """
            #.
            ##
            .#
            """,
        ),
        """
        010
        001
        100
        """,
        tnd=True,
    ),
    Picture(
        "mode_0_tnd_mask_of_all_tokens",
        0,
        (2, 3),
        (3, 2),
        (
            """
            #.#
            ##.
            """,
            """
            .#
            ##
            #.
            """,
        ),
        """
        01011
        00111
        11110
        11100
        11101
        """,
        tnd=True,
    ),
    Picture(
        "mode_0_tnd_window_restarts_in_every_sequence",
        0,
        (2, 0, 3),
        (3, 0, 2),
        (
            """
            #..
            ##.
            """,
            "",
            """
            #.
            ##
            .#
            """,
        ),
        "000 000 000",
        pre_tokens=1,
        next_tokens=0,
        tnd=True,
    ),
    Picture(
        "mode_0_tnd_mask_per_sequence",
        0,
        (2, 1),
        (2, 3),
        (
            """
            #.
            ##
            """,
            ".##",
        ),
        ("010 001", "100 111"),
        tnd=True,
    ),
    # --- Mode 1: the mask alone; tokens are ignored. ------------------------------------------------------------------
    Picture(
        "mode_1_ignores_tokens",
        1,
        (3,),
        (4,),
        (
            """
            #.##
            ##.#
            .###
            """,
        ),
        """
        0100
        0010
        1000
        """,
        pre_tokens=0,
        next_tokens=0,
    ),
    Picture(
        "mode_1_empty_row",
        1,
        (3,),
        (2,),
        (
            """
            ##
            ..
            .#
            """,
        ),
        "00 11 10",
    ),
    # --- Mode 2: the triangle from the top left corner. ---------------------------------------------------------------
    Picture(
        "mode_2_square",
        2,
        (5,),
        (5,),
        (
            """
            #....
            ##...
            ###..
            ####.
            #####
            """,
        ),
        pre_tokens=0,
        next_tokens=3,
    ),
    Picture(
        "mode_2_wide",
        2,
        (3,),
        (5,),
        (
            """
            #....
            ##...
            ###..
            """,
        ),
    ),
    Picture(
        "mode_2_tall",
        2,
        (5,),
        (3,),
        (
            """
            #..
            ##.
            ###
            ###
            ###
            """,
        ),
    ),
    Picture(
        "mode_2_tnd",
        2,
        (2, 3),
        (4, 3),
        (
            """
            #...
            ##..
            """,
            """
            #..
            ##.
            ###
            """,
        ),
        tnd=True,
    ),
    # --- Mode 3: the triangle from the bottom right corner. -----------------------------------------------------------
    Picture(
        "mode_3_square",
        3,
        (3,),
        (3,),
        (
            """
            #..
            ##.
            ###
            """,
        ),
    ),
    Picture(
        "mode_3_wide",
        3,
        (3,),
        (5,),
        (
            """
            ###..
            ####.
            #####
            """,
        ),
        pre_tokens=0,
        next_tokens=0,
    ),
    Picture(
        "mode_3_tall",
        3,
        (5,),
        (3,),
        (
            """
            ...
            ...
            #..
            ##.
            ###
            """,
        ),
    ),
    Picture("mode_3_one_row", 3, (1,), (6,), ("######",)),
    Picture("mode_3_one_column", 3, (4,), (1,), (". . . #",)),
    Picture(
        "mode_3_tnd",
        3,
        (2, 3),
        (4, 3),
        (
            """
            ###.
            ####
            """,
            """
            #..
            ##.
            ###
            """,
        ),
        tnd=True,
    ),
    # --- Mode 4: a band around the diagonal from the bottom right corner. ---------------------------------------------
    Picture(
        "mode_4_square",
        4,
        (5,),
        (5,),
        (
            """
            ##...
            ###..
            ####.
            .####
            ..###
            """,
        ),
        pre_tokens=2,
        next_tokens=1,
    ),
    Picture(
        "mode_4_wide",
        4,
        (3,),
        (6,),
        (
            """
            ..###.
            ...###
            ....##
            """,
        ),
        pre_tokens=1,
        next_tokens=1,
    ),
    Picture(
        "mode_4_tall",
        4,
        (6,),
        (3,),
        (
            """
            ...
            ...
            #..
            ##.
            ###
            .##
            """,
        ),
        pre_tokens=1,
        next_tokens=1,
    ),
    Picture(
        "mode_4_below_the_diagonal",
        4,
        (4,),
        (4,),
        (
            """
            ....
            #...
            ##..
            ###.
            """,
        ),
        pre_tokens=3,
        next_tokens=-1,
    ),
    Picture(
        "mode_4_above_the_diagonal",
        4,
        (4,),
        (4,),
        (
            """
            .##.
            ..##
            ...#
            ....
            """,
        ),
        pre_tokens=-1,
        next_tokens=2,
    ),
    Picture(
        "mode_4_unbounded_before",
        4,
        (3,),
        (5,),
        (
            """
            ###..
            ####.
            #####
            """,
        ),
        next_tokens=0,
    ),
    Picture(
        "mode_4_unbounded_after",
        4,
        (3,),
        (5,),
        (
            """
            .####
            ..###
            ...##
            """,
        ),
        pre_tokens=1,
    ),
    Picture(
        "mode_4_tnd",
        4,
        (2, 3),
        (4, 3),
        (
            """
            .##.
            ..##
            """,
            """
            #..
            ##.
            .##
            """,
        ),
        pre_tokens=1,
        next_tokens=0,
        tnd=True,
    ),
    # --- Mode 5: the mask, and the triangle from the bottom right joined with the first prefix columns. ---------------
    Picture(
        "mode_5_square",
        5,
        (4, 4),
        (4, 4),
        (
            """
            ##..
            ##..
            ###.
            ####
            """,
            """
            #...
            ##..
            ###.
            ####
            """,
        ),
        ("0000 0000 0000 0000", "0000 0000 0000 0000"),
        pre_tokens=0,
        next_tokens=0,
        prefix=(2, 0),
    ),
    Picture(
        "mode_5_mask_hides_more",
        5,
        (3,),
        (3,),
        (
            """
            .#.
            ##.
            #.#
            """,
        ),
        "100 000 010",
        prefix=(2,),
    ),
    Picture(
        "mode_5_without_prefix",
        5,
        (2,),
        (3,),
        (
            """
            ##.
            .##
            """,
        ),
        "001 100",
    ),
    # --- Mode 6: the same region from the compressed mask. ------------------------------------------------------------
    Picture(
        "mode_6_square",
        6,
        (4, 4),
        (4, 4),
        (
            """
            ###.
            ###.
            ###.
            ####
            """,
            """
            ####
            ####
            ####
            ####
            """,
        ),
        pre_tokens=0,
        next_tokens=0,
        prefix=(3, 4),
    ),
    Picture(
        "mode_6_wide",
        6,
        (3, 3),
        (5, 5),
        (
            """
            ####.
            ####.
            #####
            """,
            """
            ###..
            ####.
            #####
            """,
        ),
        prefix=(4, 2),
    ),
    Picture(
        "mode_6_tall",
        6,
        (5, 5),
        (3, 3),
        (
            """
            ...
            ...
            #..
            ##.
            ###
            """,
            """
            ##.
            ##.
            ##.
            ##.
            ###
            """,
        ),
        prefix=(0, 2),
    ),
    Picture(
        "mode_6_tnd",
        6,
        (2, 3),
        (2, 3),
        (
            """
            ##
            ##
            """,
            """
            ##.
            ##.
            ###
            """,
        ),
        prefix=(2, 2),
        tnd=True,
    ),
    # --- Mode 7: packed sequences cut between query chunks. The last one keeps all its keys but only its first rows, so
    # its triangle moves left by next_tokens <= 0; the others have theirs in the bottom right corner.
    Picture(
        "mode_7_cut_last",
        7,
        (3, 2),
        (3, 5),
        (
            """
            #..
            ##.
            ###
            """,
            """
            #....
            ##...
            """,
        ),
        next_tokens=-3,
        tnd=True,
    ),
    Picture(
        "mode_7_cut_last_partly",
        7,
        (2, 4, 3),
        (4, 4, 6),
        (
            """
            ###.
            ####
            """,
            """
            #...
            ##..
            ###.
            ####
            """,
            """
            ###...
            ####..
            #####.
            """,
        ),
        pre_tokens=6,
        next_tokens=-1,
        tnd=True,
    ),
    Picture(
        "mode_7_unused_sequences_at_the_end",
        7,
        (3, 2, 0, 0),
        (3, 5, 0, 0),
        (
            """
            #..
            ##.
            ###
            """,
            """
            ##...
            ###..
            """,
            "",
            "",
        ),
        next_tokens=-2,
        tnd=True,
    ),
    Picture(
        "mode_7_single",
        7,
        (2,),
        (4,),
        (
            """
            ##..
            ###.
            """,
        ),
        next_tokens=-1,
        tnd=True,
    ),
    # --- Mode 8: packed sequences cut between key chunks. The first one has lost its beginning on one side, so its
    # triangle is placed by next_tokens; the others have theirs in the top left corner.
    Picture(
        "mode_8_first_bottom_right",
        8,
        (3, 3),
        (5, 3),
        (
            """
            ###..
            ####.
            #####
            """,
            """
            #..
            ##.
            ###
            """,
        ),
        next_tokens=0,
        tnd=True,
    ),
    Picture(
        "mode_8_first_lost_keys",
        8,
        (5, 2, 2),
        (2, 2, 3),
        (
            """
            #.
            ##
            ##
            ##
            ##
            """,
            """
            #.
            ##
            """,
            """
            #..
            ##.
            """,
        ),
        next_tokens=3,
        tnd=True,
    ),
    Picture(
        "mode_8_first_moved_right",
        8,
        (3, 2),
        (3, 4),
        (
            """
            ##.
            ###
            ###
            """,
            """
            #...
            ##..
            """,
        ),
        next_tokens=1,
        tnd=True,
    ),
    Picture(
        "mode_8_first_moved_left",
        8,
        (2, 2),
        (5, 2),
        (
            """
            ##...
            ###..
            """,
            """
            #.
            ##
            """,
        ),
        next_tokens=-2,
        tnd=True,
    ),
    Picture(
        "mode_8_tokens_beyond_all_rows",
        8,
        (2, 2),
        (3, 2),
        (
            """
            ###
            ###
            """,
            """
            #.
            ##
            """,
        ),
        tnd=True,
    ),
    Picture(
        "mode_8_leading_empty_sequence",
        8,
        (0, 2, 2),
        (0, 4, 2),
        (
            "",
            """
            ###.
            ####
            """,
            """
            #.
            ##
            """,
        ),
        next_tokens=0,
        tnd=True,
    ),
)
