// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @dev What a transfer of USDC reads and writes, for the gas benchmark: a proxy that looks for its administrator and
/// its implementation, a token that looks whether it is paused and whether either side is blocked. As in Circle's
/// FiatToken v2.2 the blocked flag shares the balance's slot, and the paused flag the pauser's.
contract PeerFiatToken {
    address private _pauser;
    bool private _paused;
    mapping(address => uint256) private _balanceAndBlocked;

    event Transfer(address indexed from, address indexed to, uint256 value);

    function transfer(address to, uint256 value) external returns (bool) {
        require(!_paused, "Pausable: paused");
        require(_balanceAndBlocked[msg.sender] >> 255 == 0, "Blacklistable: account is blacklisted");
        require(_balanceAndBlocked[to] >> 255 == 0, "Blacklistable: account is blacklisted");
        require(to != address(0), "ERC20: transfer to the zero address");
        require(value <= _balanceAndBlocked[msg.sender], "ERC20: transfer amount exceeds balance");
        _balanceAndBlocked[msg.sender] -= value;
        _balanceAndBlocked[to] += value;
        emit Transfer(msg.sender, to, value);
        return true;
    }

    function balanceOf(address holder) external view returns (uint256) {
        return _balanceAndBlocked[holder] & ((1 << 255) - 1);
    }

    function decimals() external pure returns (uint8) {
        return 6;
    }

    /// @dev Anybody's, as the token is made for one measurement.
    function mint(address to, uint256 value) external {
        _balanceAndBlocked[to] += value;
    }
}

/// @dev OpenZeppelin's old transparent proxy, as FiatTokenProxy has it.
contract PeerFiatProxy {
    bytes32 private constant IMPLEMENTATION_SLOT = 0x7050c9e0f4ca769c69bd3a8ef740bc37934f8e2c036e5a723fd8ee048ed3f8c3;
    bytes32 private constant ADMIN_SLOT = 0x10d6a54a4754c8869d6886b5f5d7fbfa5b4522237ea5c60d11bc4e7a1ff9390b;

    constructor(address implementation) {
        assembly {
            sstore(IMPLEMENTATION_SLOT, implementation)
            sstore(ADMIN_SLOT, caller())
        }
    }

    fallback() external payable {
        assembly {
            if eq(caller(), sload(ADMIN_SLOT)) { revert(0, 0) }
            calldatacopy(0, 0, calldatasize())
            let done := delegatecall(gas(), sload(IMPLEMENTATION_SLOT), 0, calldatasize(), 0, 0)
            returndatacopy(0, 0, returndatasize())
            switch done
            case 0 { revert(0, returndatasize()) }
            default { return(0, returndatasize()) }
        }
    }
}
