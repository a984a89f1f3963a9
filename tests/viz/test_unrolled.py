"""Object frames unrolled into a map, and set upright before."""

import numpy as np

from kcorr import viz

RNG = np.random.default_rng(12)
GREY = 128


def towards(longitude, latitude):
    """Unit vectors [..., 3] of the documented axes, from degrees."""
    a, b = np.deg2rad(longitude), np.deg2rad(latitude)
    return np.stack([np.sin(a) * np.cos(b), np.cos(a) * np.cos(b), np.sin(b)], -1)


def test_unrolled_directions_lie_at_their_longitude_and_latitude():
    picture = np.array([[[10, 20, 30], [40, 50, 60], [70, 80, 90], [100, 110, 120]]], np.uint8)
    labels = np.array([[[0, 1, 0.01], [0, 0, 5], [1, 0, -0.01], [-1, 1e-9, -9]]])
    unrolled = viz.unroll_sphere(picture, labels, size=(4, 8))
    wanted = np.full((4, 8, 3), GREY)
    wanted[1, 4] = (10, 20, 30)  # +y: the middle
    wanted[0, 4] = (40, 50, 60)  # +z: the top row, at longitude 0
    wanted[2, 6] = (70, 80, 90)  # +x: a quarter to the right
    wanted[3, 2] = (100, 110, 120)  # mostly -z
    np.testing.assert_array_equal(unrolled, wanted)


def test_an_unrolled_sphere_shows_its_texture():
    """Every cell gets the colour that a smooth texture has at its centre, from any pictures."""
    lon, lat = np.meshgrid(np.arange(16) * 22.5 - 168.75, 78.75 - np.arange(8) * 22.5)
    centres = towards(lon, lat)
    truth = 100 + 90 * centres
    labels = towards(RNG.uniform(-180, 180, (3, 60, 60)), RNG.uniform(-90, 90, (3, 60, 60)))
    pictures = np.rint(100 + 90 * labels).astype(np.uint8)
    lengths = RNG.uniform(0.1, 9, (3, 60, 60, 1))
    unrolled = viz.unroll_sphere(pictures, labels * lengths, size=(8, 16))
    assert np.abs(unrolled - truth).max() < 12
    # The order of the pictures, and uint8 or float, do not matter.
    other = viz.unroll_sphere(list(pictures[::-1] / 255.0), list((labels * lengths)[::-1]), (8, 16))
    np.testing.assert_array_equal(other, unrolled)


def test_symmetries_of_the_frame_are_symmetries_of_the_map():
    labels = towards(RNG.uniform(-180, 180, (20, 30)), RNG.uniform(-90, 90, (20, 30)))
    picture = RNG.integers(0, 255, (20, 30, 3), np.uint8)
    unrolled = viz.unroll_sphere(picture, labels, size=(6, 12))
    mirrored = viz.unroll_sphere(picture, labels * [-1, 1, 1], size=(6, 12))
    np.testing.assert_array_equal(mirrored, unrolled[:, ::-1])
    angle = 2 * np.pi / 3
    turn = np.array(
        [[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    turned = viz.unroll_sphere(picture, labels @ turn.T, size=(6, 12))
    np.testing.assert_array_equal(turned, np.roll(unrolled, 4, axis=1))


def test_a_cell_holds_the_mean_of_all_pixels_that_point_there():
    labels = np.zeros((2, 2, 2, 3))
    labels[..., 1], labels[1, 1, 1] = 1, np.nan
    pictures = np.zeros((2, 5, 4, 3), np.uint8)  # an odd last row, which has no cell
    pictures[0, :4], pictures[1, :2], pictures[:, 4] = 10, 50, 255
    pictures[1, 0, 0] = 90  # a quarter of a cell
    mask = np.ones((2, 2, 2, 1))
    mask[0, 0, 0] = 0
    # Three cells of 10, one of 60, one of 50, one of 0; one is masked, one NaN.
    middle = viz.unroll_sphere(pictures, labels, size=(1, 1), mask=mask)
    assert middle.tolist() == [[[round(140 / 6)] * 3]]
    pair = [pictures[0], pictures[1][:2]]  # of different sizes
    halves = viz.unroll_sphere(pair, [labels[0], labels[1][:1]], (1, 1), [mask[0], mask[1][:1]])
    assert halves.tolist() == [[[round(140 / 5)] * 3]]
    nothing = viz.unroll_sphere(pictures, labels, size=(3, 4), mask=0 * mask)
    assert (nothing == GREY).all()


def test_a_smooth_map_shares_colours_with_the_cells_around():
    """Across the left and right sides, not the poles, with the weights of a Gaussian."""
    labels = towards(np.array([[-179.0, 0.0]]), np.array([[1.0, -89.0]]))
    picture = np.array([[[200, 0, 0], [0, 100, 0]]], np.uint8)
    unrolled = viz.unroll_sphere(picture, labels, size=(40, 80), smooth=1.0)
    assert unrolled[19, 0].tolist() == unrolled[19, 79].tolist() == [200, 0, 0]  # one colour only
    assert unrolled[16, 77].tolist() == [200, 0, 0]  # three cells up, three to the left
    assert unrolled[39, 40].tolist() == [0, 100, 0]
    reached = (unrolled != GREY).any(-1)
    assert reached.sum() == 7 * 7 + 4 * 7
    assert not reached[0].any()
    # Where two colours meet, the nearer one weighs more: two cells and one away.
    pair = towards(np.array([[0.1, 13.6]]), np.array([[0.1, 0.1]]))
    mixed = viz.unroll_sphere(picture, pair, size=(40, 80), smooth=1.0)[19, 42]
    near, far = np.exp(-0.5), np.exp(-2.0)
    wanted = [200 * far / (near + far), 100 * near / (near + far), 0]
    np.testing.assert_allclose(mixed, wanted, atol=0.51)


def test_a_frame_set_upright_shows_the_object_as_its_pictures_do():
    lon, lat = np.meshgrid(np.linspace(-80, 80, 17), np.linspace(70, -70, 15))
    globe = towards(lon, lat)
    hidden, _ = np.linalg.qr(RNG.normal(size=(3, 3)))
    for matrix in (hidden, hidden * [1, 1, -1]):  # a rotation and a mirrored one
        lengths = RNG.uniform(0.1, 9, (2, 15, 17, 1))
        labels = lengths * globe @ matrix
        labels[1, 3, 4] = np.nan  # says nothing
        turn = viz.upright_frame(labels)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
        np.testing.assert_allclose(turn, matrix.T, atol=0.05)
    # What is masked has no say.
    mask = np.zeros((2, 15, 17, 1))
    mask[0] = 1
    labels[1] = RNG.normal(size=(15, 17, 3))
    np.testing.assert_allclose(viz.upright_frame(labels, mask), matrix.T, atol=0.05)
    np.testing.assert_array_equal(
        viz.upright_frame(labels[0]), viz.upright_frame(labels[:1], mask[:1])
    )
