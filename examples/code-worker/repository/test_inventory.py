import unittest

from inventory import Inventory, OutOfStock


class InventoryTest(unittest.TestCase):
    def setUp(self):
        self.inventory = Inventory()
        self.inventory.add("lamp", 3)

    def test_what_is_taken_is_gone(self):
        self.inventory.take("lamp", 2)
        self.assertEqual(self.inventory.count("lamp"), 1)

    def test_the_last_one_can_be_taken(self):
        self.inventory.take("lamp", 3)
        self.assertEqual(self.inventory.count("lamp"), 0)

    def test_more_than_there_is_cannot(self):
        with self.assertRaises(OutOfStock):
            self.inventory.take("lamp", 4)


if __name__ == "__main__":
    unittest.main()
